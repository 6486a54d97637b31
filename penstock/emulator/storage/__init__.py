"""What the emulator keeps: one SQLite ledger (buckets, versions, uploads, parts, segments) and a vault of data files.

Knows nothing of HTTP, except that a rule it must decide inside a transaction refuses with an `OssFault`.
"""
