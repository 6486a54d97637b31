"""The file lists of a batch: CSV objects of a directory of the bucket, with columns Name and Type, read bit by bit in order.

A list is read by ranges of one version of it, and a line is looked at when it is whole: so a list may have any size, and a later
look goes on at any line. A line is a record of CSV: between quotes, names may hold newlines. Calls the store only.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

from penstock.errors import FailureCode, ObjectNotFoundError, PreconditionFailedError, TransferError
from penstock.stores.base import ByteRange, Store
from penstock.transfer import keys

CHUNK_BYTES = 256 << 10
LINE_MAX_BYTES = 16 << 10
_BOM = b"\xef\xbb\xbf"
_CELL = rb'(?:"(?:[^"]++|"")*+"[^,\n]*+|(?!")[^,\n]*+)'
_LINE = re.compile(rb"(?:%b)?+%b(?:,%b)*+(?:\n|\Z)" % (_BOM, _CELL, _CELL))
"""A quote that does not begin a cell is none. Never goes back, so that no list is slow to read."""


class Place(NamedTuple):
    """A line of a list. `name_at` and `type_at` are the columns (-1: there is none), known behind the first line."""

    key: str = ""
    etag: str = ""
    offset: int = 0
    name_at: int = -1
    type_at: int = -1


class Line(NamedTuple):
    """What a line names, without the first `/`, and the place behind it."""

    name: str
    is_tree: bool
    behind: Place


def first(store: Store, directory: str, after: str) -> Place | None:
    """The start of the next list in that directory (a prefix) behind the key `after`; None: there is none. Raises StoreError."""
    while True:
        page = keys.listing(store, directory, after, 1000)
        for info in page.objects:
            if info.key.lower().endswith(".csv") and "/" not in info.key[len(directory) :]:
                return Place(key=info.key, etag=store.head(info.key).etag)
        if not page.next_token or not page.objects:
            return None
        after = page.objects[-1].key


def lines(store: Store, place: Place) -> Sequence[Line]:
    """The next lines at that place, at least one; none at the end of the list. Raises StoreError, TransferError."""
    content, is_all = _read(store, place)
    found: list[Line] = []
    begin = 0
    while begin < len(content) and (end := _end(content, begin, is_all=is_all)):
        line, place = content[begin:end], place._replace(offset=place.offset + end - begin)
        begin = end
        cells = _cells(line, place)
        if place.name_at < 0:
            place = _headed(cells, place)
        elif cells:
            found.append(_line(cells, place))
    if found:
        return found
    if begin < len(content) and (is_all or begin == 0):
        raise _bad(place, "a quote is never closed" if is_all else f"a line has more than {LINE_MAX_BYTES} bytes")
    return [] if is_all else lines(store, place)


def _end(content: bytes, begin: int, *, is_all: bool) -> int:
    """Behind the line that begins there; 0 where it is not whole."""
    newline = content.find(b"\n", begin)
    if newline >= 0 and content.find(b'"', begin, newline) < 0:
        return newline + 1
    whole = _LINE.match(content, begin)
    if whole is None or (not is_all and not whole[0].endswith(b"\n")):
        return 0
    return whole.end()


def _read(store: Store, place: Place) -> tuple[bytes, bool]:
    """The bytes at that place, and whether they are the last ones."""
    try:
        size = store.head(place.key).size_bytes
        length = min(CHUNK_BYTES, size - place.offset)
        if length <= 0:
            return b"", True
        wanted = ByteRange(offset=place.offset, length_bytes=length)
        with store.get(place.key, byte_range=wanted, if_match=place.etag) as stream:
            content = bytearray(length)
            view, filled = memoryview(content), 0
            while filled < length and (count := stream.readinto(view[filled:])):
                filled += count
    except (ObjectNotFoundError, PreconditionFailedError):
        raise TransferError(
            FailureCode.SOURCE_CHANGED, f"the file list {place.key} was changed while it was read"
        ) from None
    return bytes(content), place.offset + length >= size


def _cells(line: bytes, behind: Place) -> list[str]:
    if len(line) > LINE_MAX_BYTES:
        raise _bad(behind, f"a line has more than {LINE_MAX_BYTES} bytes")
    try:
        text = line.removeprefix(_BOM).rstrip(b"\r\n").decode("utf-8")
        return next(csv.reader([text], strict=False), [])
    except UnicodeDecodeError:
        raise _bad(behind, "a line is not UTF-8") from None
    except csv.Error as error:
        raise _bad(behind, f"a line is no CSV: {error}") from None


def _headed(cells: Sequence[str], place: Place) -> Place:
    columns = [cell.strip().lower() for cell in cells]
    if "name" not in columns:
        raise _bad(place, "its first line has no column Name")
    return place._replace(name_at=columns.index("name"), type_at=columns.index("type") if "type" in columns else -1)


def _line(cells: Sequence[str], place: Place) -> Line:
    name = cells[place.name_at].removeprefix("/") if place.name_at < len(cells) else ""
    kind = cells[place.type_at].strip().lower() if 0 <= place.type_at < len(cells) else ""
    if not name or kind not in {"", "file", "dir"}:
        raise _bad(place, "a line has no Name, or a Type that is neither file nor dir")
    if (kind == "dir") != name.endswith("/") and kind:
        raise _bad(place, f"{name[:80]!r} has Type {kind}: the Name of a dir ends with `/`, that of a file does not")
    return Line(name, name.endswith("/"), place)


def _bad(place: Place, reason: str) -> TransferError:
    words = f"the file list {place.key} cannot be read: before byte {place.offset}, {reason}"
    return TransferError(FailureCode.NOT_SUPPORTED, words)
