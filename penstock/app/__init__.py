"""The service, put together: what `penstock init` makes and what `penstock serve` runs.

`making` makes a HOME, `registering` adds file systems and buckets to it, `service` assembles catalog, engine, API and the
embedded bucket server out of it. Only this room knows all the others; none of them knows it, but for the command line.
"""
