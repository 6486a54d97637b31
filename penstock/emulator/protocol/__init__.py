"""How OSS speaks: requests, answers, signatures, error documents, names, ranges and conditions.

Knows HTTP and the OSS protocol; holds no state, touches no disk and calls neither storage nor operations.
"""
