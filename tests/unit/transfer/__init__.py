"""Is each piece of the gate right by itself?"""
