"""Parent directories that are held open, shared by the files of one mover that go into the same one.

A directory is resolved beneath the root once in a moment, for all files that begin in it, and once more for all that are
published in it. It is open only while some file uses it. Calls the kernel only. Safe from several threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from penstock.transfer.moment import Moments

Node = tuple[int, int]
"""A directory's device and inode: which one it is, as long as somebody holds it open."""


class Directory:
    """One that is held: its descriptor, device and inode, and the moment in which its path was last seen to lead to it.

    While it is open no other can have its inode number, so what was learned of it stays true.
    """

    __slots__ = ("descriptor", "identity", "is_durable", "looked", "parent", "users")

    def __init__(self, parent: bytes, descriptor: int, identity: Node, looked: int) -> None:
        self.parent = parent
        self.descriptor = descriptor
        self.identity = identity
        self.is_durable = False
        self.looked = looked
        self.users = 0


class Directories:
    """Those of one root. `opener` opens a relative path beneath it."""

    def __init__(self, opener: Callable[[bytes], int], moments: Moments) -> None:
        self._open = opener
        self._moments = moments
        self._lock = threading.Lock()
        self._shared: dict[bytes, Directory] = {}

    def take(self, parent: bytes) -> Directory:
        """What that path leads to; to be given back by `leave`. Raises OSError."""
        moment = self._moments.now()
        if moment:
            with self._lock:
                held = self._shared.get(parent)
                if held is not None and held.looked == moment:
                    held.users += 1
                    return held
        return self._held(parent, self._open(parent), moment)

    def keep(self, parent: bytes, descriptor: int) -> Directory:
        """One that was made just now; its descriptor is ours from here on. Raises OSError."""
        return self._held(parent, descriptor, 0)

    def leave(self, directory: Directory) -> None:
        """It is not used any more; its last user closes it."""
        with self._lock:
            directory.users -= 1
            is_last = directory.users == 0
            if is_last and self._shared.get(directory.parent) is directory:
                del self._shared[directory.parent]
        if is_last:
            os.close(directory.descriptor)

    def leads_to(self, directory: Directory) -> bool:
        """Whether its path leads to it still, or did so in this very moment. Raises OSError."""
        moment = self._moments.now()
        if moment and directory.looked == moment:
            return True
        descriptor = self._open(directory.parent)
        try:
            is_same = _identity(descriptor) == directory.identity
        finally:
            os.close(descriptor)
        if is_same and moment:
            directory.looked = moment
        return is_same

    def forget(self) -> None:
        """The root is another one now: what is held is shared with nobody new, and what was durable is not known to be."""
        with self._lock:
            for directory in self._shared.values():
                directory.is_durable = False
            self._shared.clear()

    def _held(self, parent: bytes, descriptor: int, moment: int) -> Directory:
        try:
            fresh = Directory(parent, descriptor, _identity(descriptor), moment)
        except BaseException:
            os.close(descriptor)
            raise
        with self._lock:
            held = self._shared.get(parent) if moment else None
            if held is None or held.identity != fresh.identity:
                held = fresh
                if moment:
                    self._shared[parent] = fresh
            held.looked = moment
            held.users += 1
        if held is not fresh:
            os.close(descriptor)
        return held


def _identity(descriptor: int) -> Node:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
