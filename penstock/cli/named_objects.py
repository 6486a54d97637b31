"""Objects that a person names: keys, prefixes, globs and lists become items one by one, while they are read.

Lists a bucket by what it is given; sends nothing. A name that cannot be moved is an item, too, and stops no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from glob import has_magic

from penstock.cli.items import Item, Items, Unfit
from penstock.cli.named_files import magic_at
from penstock.client.finding import as_directory, storage_parts
from penstock.errors import SettingsError

Lister = Callable[[str, str], Iterator[tuple[str, int]]]
"""Keys and sizes of a bucket's objects, by bucket and prefix. Raises SettingsError where they cannot be listed from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shore:
    """The buckets as they are seen from here. With `base` (`oss://bucket/prefix/`) keys keep their path beneath it."""

    lister: Lister
    base: str = ""
    exclude: tuple[str, ...] = ()


def objects_named(names: Iterable[str], shore: Shore) -> Items:
    """Objects (`oss://bucket/key`), what lies beneath a prefix (`oss://bucket/prefix/`), and globs."""
    for name in names:
        try:
            yield from _object(name, shore)
        except (SettingsError, ValueError) as error:
            yield Unfit(name=name, why=str(error))


def _object(name: str, shore: Shore) -> Items:
    if "://" not in name:
        if not shore.base:
            raise SettingsError("an object is named as oss://BUCKET/KEY (or say --base oss://BUCKET/PREFIX/)")
        name = f"{shore.base.rstrip('/')}/{name.lstrip('/')}"
    storage, _ = storage_parts(name)
    key = name[len(storage) + 1 :]
    if not key or key.endswith("/"):
        yield from _listed(name, _Place(storage=storage, prefix=key, directory=key, pattern="*"), shore)
    elif has_magic(key) and (literal := _literally(storage, key, shore)) is not None:
        yield _kept(literal, shore)
    elif has_magic(key):
        fixed = key[: magic_at(key)]
        directory = fixed.rpartition("/")[0]
        yield from _listed(name, _Place(storage=storage, prefix=fixed, directory=directory, pattern=key), shore)
    else:
        directory, _, last = key.rpartition("/")
        yield _kept(Item(storage=storage, base=as_directory(directory), name=last), shore)


def _literally(storage: str, key: str, shore: Shore) -> Item | None:
    """The object of exactly this key, though there are a glob's signs in it."""
    size_bytes = next((size for found, size in shore.lister(storage, key) if found == key), None)
    if size_bytes is None:
        return None
    directory, _, last = key.rpartition("/")
    return Item(storage=storage, base=as_directory(directory), name=last, size_bytes=size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where to list: keys keep their path beneath `directory`, and those that fit `pattern` are meant."""

    storage: str
    prefix: str
    directory: str
    pattern: str


def _listed(name: str, place: _Place, shore: Shore) -> Items:
    base = as_directory(place.directory)
    is_empty = True
    for key, size_bytes in shore.lister(place.storage, place.prefix):
        if key.endswith("/") or not (place.pattern == "*" or fnmatch(key, place.pattern)):
            continue
        inner = f"/{key}"[len(base) :]
        if any(fnmatch(inner, each) or fnmatch(os.path.basename(inner), each) for each in shore.exclude):
            continue
        is_empty = False
        yield _kept(Item(storage=place.storage, base=base, name=inner, size_bytes=size_bytes), shore)
    if is_empty:
        yield Unfit(name=name, why="there is no such object")


def _kept(item: Item, shore: Shore) -> Item | Unfit:
    """With the path that it has beneath the base, where one was given."""
    if not shore.base:
        return item
    bucket, prefix = storage_parts(shore.base)
    if bucket != item.storage or not item.path.startswith(prefix):
        return Unfit(name=f"{item.storage}{item.path}", why=f"it does not lie beneath {shore.base}")
    return replace(item, base=prefix, name=item.path[len(prefix) :])
