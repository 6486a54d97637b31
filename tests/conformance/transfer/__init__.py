"""Does the gate keep its promises on every kind of store?"""
