"""The vendor's own tests as judges of the emulator: `make emulator-fidelity`.

scope    which of the suite's modules count, and why others and single tests do not
suite    getting the suite, starting the emulator, running module after module
judge    what runs in the suite's own environment
page     the numbers and lists of docs/emulator.md
"""
