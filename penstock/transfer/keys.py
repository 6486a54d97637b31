"""The objects of a bucket whose keys begin with a prefix, looked at page by page in key order. Calls the store only."""

from __future__ import annotations

from penstock.stores.base import Store
from penstock.transfer.listed import Kind, Listed, Look, is_reserved


def look(store: Store, prefix: str, after: str, limit: int) -> Look:
    """At most `limit` objects behind `after`; paths are relative to the prefix. One request. Raises StoreError."""
    start_after = f"{prefix}{after}" if after else ""
    page = store.list_objects(prefix=prefix, start_after=start_after, limit=limit)
    found: list[Listed] = []
    last = after
    for info in page.objects:
        last = info.key[len(prefix) :]
        if not is_reserved(last):
            kind = Kind.MARKER if info.key.endswith("/") else Kind.FILE
            found.append(Listed(last, kind, info.size_bytes, info.last_modified_ns))
    return Look(found, last if page.next_token and page.objects else None)
