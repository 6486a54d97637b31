"""The objects of a bucket whose keys begin with a prefix, looked at page by page in key order. Calls the store only."""

from __future__ import annotations

from penstock.stores.base import Listing, Store
from penstock.transfer.listed import Kind, Listed, Look, is_reserved


def look(store: Store, prefix: str, after: str, limit: int) -> Look:
    """About `limit` objects behind `after`; paths are relative to the prefix. Raises StoreError."""
    start_after = f"{prefix}{after}" if after else ""
    page = listing(store, prefix, start_after, limit)
    found: list[Listed] = []
    last = after
    for info in page.objects:
        last = info.key[len(prefix) :]
        if not is_reserved(last):
            kind = Kind.MARKER if info.key.endswith("/") else Kind.FILE
            found.append(Listed(last, kind, info.size_bytes, info.last_modified_ns))
    return Look(found, last if page.next_token and page.objects else None)


def listing(store: Store, prefix: str, start_after: str, limit: int) -> Listing:
    """A page that leads on, unless there is nothing more: stores may answer empty ones in between. Raises StoreError."""
    page = store.list_objects(prefix=prefix, start_after=start_after, limit=limit)
    objects = [*page.objects]
    while page.next_token and (not objects or objects[-1].key == prefix):  # a cursor there would be none
        page = store.list_objects(prefix=prefix, token=page.next_token, limit=limit)
        objects += page.objects
    return Listing(objects=objects, common_prefixes=(), next_token=page.next_token)
