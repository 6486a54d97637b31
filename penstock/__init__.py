"""Penstock: a self-hosted data-flow service between a POSIX file system and object-storage buckets."""

__version__ = "0.1.0"
