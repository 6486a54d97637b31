"""The soak: everything that can go wrong at once, at load, for as long as one likes; `make soak`. Prints a verdict."""
