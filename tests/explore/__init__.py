"""Searching on where an ordinary run is the same each time: examples and seeds of chance; `make explore`."""
