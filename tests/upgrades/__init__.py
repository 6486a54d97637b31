"""HOMEs of older versions, served by this one: does what was unfinished go on, and is what was done still told?"""
