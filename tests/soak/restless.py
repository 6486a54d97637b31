"""Sources that do not rest while they are moved: files and objects that are changed step by step, and all that they ever were.

Every state is told to the source's `Past` before it is made, so that whatever was moved can be told from what never was. Bytes
never come back: a mixture of two states is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from penstock.stores.base import Store
from tests.soak.errands import Block, Errand, Past, Unrest

PIECES = 8
APPENDED_BYTES = 3000


class RestlessFile:
    """A file of an export. `replace` gives a path other bytes at one stroke."""

    def __init__(
        self, block: Block, errand: Errand, past: Past, path: Path, replace: Callable[[Path, bytes], object]
    ) -> None:
        self._block = block
        self._errand = errand
        self._past = past
        self._path = path
        self._replace = replace
        self._content = bytearray(block.cut(errand.first))

    def changes(self, number: int) -> Iterator[None]:
        """Its next change, the first one being number 1: some steps, after each of which it may lie for a while."""
        is_odd = number % 2 == 1
        match self._errand.unrest:
            case Unrest.WRITTEN:
                yield from self._write(number, puts_time_back=is_odd)
            case Unrest.SHORTENED if is_odd:
                del self._content[self._errand.first.size_bytes // 2 + number :]
                self._past.will_be(self._content)
                os.truncate(self._path, len(self._content))
            case Unrest.SHORTENED:
                yield from self._append(self._fresh(number, self._errand.first.size_bytes - len(self._content)))
            case Unrest.LENGTHENED:
                yield from self._append(self._fresh(number, APPENDED_BYTES))
            case Unrest.REMOVED if is_odd:
                self._past.was_gone = True
                self._path.unlink(missing_ok=True)
            case _:
                content = self._fresh(number, self._errand.first.size_bytes)
                self._past.will_be(content)
                self._replace(self._path, content)

    def _fresh(self, number: int, size_bytes: int) -> bytes:
        return self._block.another(self._errand.first, number, size_bytes=size_bytes)

    def _append(self, content: bytes) -> Iterator[None]:
        with self._path.open("ab", buffering=0) as file:
            for piece in _pieces(content):
                self._content += piece
                self._past.will_be(self._content)
                file.write(piece)
                yield

    def _write(self, number: int, *, puts_time_back: bool) -> Iterator[None]:
        """All of it, a piece after the other, from its beginning on as readers go."""
        before, done = self._path.stat(), 0
        with self._path.open("r+b", buffering=0) as file:
            for piece in _pieces(self._fresh(number, len(self._content))):
                self._content[done : done + len(piece)] = piece
                self._past.will_be(self._content)
                file.write(piece)
                done += len(piece)
                if puts_time_back:
                    os.utime(self._path, ns=(before.st_atime_ns, before.st_mtime_ns))
                yield


def _pieces(content: bytes) -> Iterator[bytes]:
    step = max(1, -(-len(content) // PIECES))
    return (content[offset : offset + step] for offset in range(0, len(content), step))


class RestlessObject:
    """An object of an import. `put` stores bytes under a key."""

    def __init__(
        self, block: Block, errand: Errand, past: Past, key: str, put: Callable[[Store, str, bytes], object]
    ) -> None:
        self._block = block
        self._errand = errand
        self._past = past
        self._key = key
        self._put = put

    def step(self, number: int, store: Store) -> None:
        """Its next change, which may be made once more where the store died meanwhile."""
        is_odd = number % 2 == 1
        size_bytes = self._errand.first.size_bytes
        match self._errand.unrest:
            case Unrest.REMOVED if is_odd:
                self._past.was_gone = True
                store.delete(self._key)
                return
            case Unrest.SHORTENED if is_odd:
                size_bytes //= 2
            case Unrest.LENGTHENED:
                size_bytes += number * APPENDED_BYTES
        content = self._block.another(self._errand.first, number, size_bytes=size_bytes)
        self._past.will_be(content)
        self._put(store, self._key, content)
