"""What files hold right now: how they look, and the checksums of their bytes, read bit by bit.

Questions that raise nothing, so that a process of its own can be asked them where a file system may hang, and that take about as
long as they are told, so that whoever asks can stop between two. Opens files for reading alone; follows no link, changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import NamedTuple

from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer import crc64, posix
from penstock.transfer.listed import Listed, Trouble
from penstock.transfer.names import split, to_bytes
from penstock.transfer.posix import FileState
from penstock.transfer.refusals import Side, from_os
from penstock.transfer.root import Root
from penstock.transfer.tree import listed_as

BUFFER_BYTES = 1 << 20
THREADS = 4
"""Files read side by side: one alone leaves a file system of the network idle."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Reading(NamedTuple):
    """How far a file was read, and the checksum of that. `identity` is the file's when its reading began."""

    path: str  # relative to the root
    identity: tuple[int, ...] = ()
    offset: int = 0
    crc64: int = crc64.EMPTY
    is_whole: bool = False
    size_bytes: int = 0
    modify_ns: int = 0
    trouble: Trouble | None = None


def states(file_system: FileSystem, paths: Sequence[str]) -> Sequence[Listed | None] | Trouble:
    """How each of these files looks now; None for one that is not there. Raises nothing."""
    try:
        with closing(Root.open(file_system)) as root:
            return [_state(root, path) for path in paths]
    except TransferError as error:
        return Trouble(error.code, str(error), error.waiting_helps)


def read_on(file_system: FileSystem, readings: Sequence[Reading], budget_s: float) -> Sequence[Reading] | Trouble:
    """Read these files on for about so long, the first ones a little in any case; each comes back as far as it is then.

    Raises nothing.
    """
    until_s = time.monotonic() + budget_s
    try:
        with closing(Root.open(file_system)) as root, ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(partial(_read_on, root, until_s), range(len(readings)), readings))
    except TransferError as error:
        return Trouble(error.code, str(error), error.waiting_helps)


def _state(root: Root, path: str) -> Listed | None:
    """Raises TransferError."""
    parent, name = split(path)
    try:
        directory = root.open_directory(parent)
        try:
            state = posix.look_or_none(directory, name)
        finally:
            os.close(directory)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise from_os(error, side=Side.SOURCE, path=path) from error
    return None if state is None or state.is_directory else listed_as(path, state)


def _read_on(root: Root, until_s: float, number: int, reading: Reading) -> Reading:
    if number >= THREADS and time.monotonic() > until_s:
        return reading
    try:
        descriptor = root.open_beneath(to_bytes(reading.path), _READ)
        try:
            return _read(descriptor, until_s, reading)
        finally:
            os.close(descriptor)
    except OSError as error:
        refused = from_os(error, side=Side.SOURCE, path=reading.path)
        return reading._replace(trouble=Trouble(refused.code, str(refused), refused.waiting_helps))


def _read(descriptor: int, until_s: float, reading: Reading) -> Reading:
    """Raises OSError."""
    begun = posix.look_open(descriptor)
    identity = reading.identity or _identity(begun)
    if not begun.is_regular or _identity(begun) != identity:
        return _changed(reading)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_NOREUSE)
    buffer = memoryview(bytearray(min(BUFFER_BYTES, max(1, begun.size_bytes))))
    offset, crc = reading.offset, reading.crc64
    while offset < begun.size_bytes:
        count = posix.read_full(descriptor, buffer, offset)
        crc = crc64.update(buffer[:count], crc)
        offset += count
        if not count or (offset < begun.size_bytes and time.monotonic() > until_s):
            break
    if _identity(posix.look_open(descriptor)) != identity:
        return _changed(reading)
    is_whole = offset >= begun.size_bytes
    return Reading(
        path=reading.path,
        identity=identity,
        offset=offset,
        crc64=crc,
        is_whole=is_whole,
        size_bytes=begun.size_bytes,
        modify_ns=begun.modify_ns,
    )


def _changed(reading: Reading) -> Reading:
    words = f"/{reading.path} changed while it was compared; compare it again when it is quiet"
    return reading._replace(trouble=Trouble(FailureCode.SOURCE_CHANGED, words, waiting_helps=False))


def _identity(state: FileState) -> tuple[int, ...]:
    return state.device, state.inode, state.size_bytes, state.modify_ns, state.change_ns
