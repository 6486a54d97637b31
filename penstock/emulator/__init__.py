"""THE NEAR SHORE: an OSS-protocol bucket server over a directory.

The embedded default and the tests' OSS; no production store, and it says so. It speaks the protocol by itself and uses
neither the vendor's SDK nor the product's own stores and checksums, so that it can contradict them.

    protocol/    how OSS speaks: calls, answers, signatures, errors, documents, names, ranges
    storage/     what is kept: the ledger (SQLite) and the vault (data files)
    operations/  what each OSS operation does
    routes       which operation a call is
    gateway      ASGI in, OSS out
    service      what every operation is handed
    application  the server: made, and served until SIGTERM
    making       a bucket without a server
"""
