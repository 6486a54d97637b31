"""`penstock doctor`: looks at everything that a service stands on, and says what is wrong with the command that mends it.

`findings` is what is told, `examining` runs the looks side by side and leaves behind what hangs; each other module looks at one
thing. Changes nothing but for probe objects and files, whose names say what they are, and which it removes again.
"""
