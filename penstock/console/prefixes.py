"""The prefixes below one prefix of a bucket, as a store lists them, for whoever chooses one. Blocking, bounded to one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.errors import SettingsError, StoreError
from penstock.model import Bucket
from penstock.stores.base import Store

KEYS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrefixes:
    """Names below the prefix, how many objects were seen beside them, and how many of these are lists in CSV.

    `trouble` says why there are none.
    """

    names: tuple[str, ...] = ()
    objects: int = 0
    tables: int = 0
    is_cut: bool = False
    trouble: str = ""


def subprefixes(bucket: Bucket, prefix: str, open_bucket: Callable[[Bucket], Store]) -> ListedPrefixes:
    """What lies under `prefix` (starts and ends with `/`), up to the next `/`."""
    key = prefix.lstrip("/")
    try:
        store = open_bucket(bucket)
    except (SettingsError, StoreError):
        return ListedPrefixes(trouble="No usable credentials for this bucket are configured.")
    try:
        page = store.list_objects(prefix=key, delimiter="/", limit=KEYS_MAX)
    except StoreError as error:
        return ListedPrefixes(trouble=f"{error}")
    finally:
        store.close()
    names = tuple(each[len(key) :].rstrip("/") for each in page.common_prefixes)
    return ListedPrefixes(
        names=tuple(name for name in names if name and name.isprintable()),
        objects=len([each for each in page.objects if each.key != key]),
        tables=len([each for each in page.objects if each.key.endswith(".csv")]),
        is_cut=bool(page.next_token),
    )
