"""Measurements side by side with peers: never part of the tests, never imported by Penstock. `python -m bench --help`."""
