"""The vault: a directory of data files under ids, written once, durable before anything names them.

A file without a row in the ledger is no object: it is what a crash left behind, and goes at the next start. So no
rename is needed; the ledger's commit is the moment a body exists. Removed files go when no reader that could still
want them is left. File I/O happens in threads; the event loop only hands buffers over.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from penstock.emulator.protocol.checksum import crc64_xz

INLINE_MAX_BYTES = 64 * 1024
BLOCK_BYTES = 1024 * 1024
FAN_OUT = 256
THREADS = 16
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A body taken in. `inline` holds it when it is small; otherwise the file `id` does, durably."""

    id: str
    size_bytes: int
    md5: bytes
    crc64: int
    inline: bytes | None


class _Writer:
    """One file being written: used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.crc64 = 0
        self.size_bytes = 0

    def append(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            self.md5.update(chunk)
            self.crc64 = crc64_xz(chunk, self.crc64)
            self.size_bytes += len(chunk)
        pending = [memoryview(chunk) for chunk in chunks]
        while pending:
            written = os.writev(self._fd, pending[:512])
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if written:
                pending[0] = pending[0][written:]

    def finish(self, chunks: list[bytes]) -> None:
        self.append(chunks)
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._path.unlink(missing_ok=True)


class Vault:
    """All of a root's data files. `new_id` yields names that never repeat."""

    def __init__(self, directory: Path, *, new_id: Callable[[], str]) -> None:
        self._directory = directory
        self._new_id = new_id
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="emulator-disk")
        self._epoch = 0
        self._readers: dict[int, int] = {}
        self._doomed: list[tuple[int, str]] = []

    def open(self, known: set[str]) -> None:
        """Blocking: make the directories, remove every file that is not `known`. Raises OSError."""
        for number in range(FAN_OUT):
            (self._directory / f"{number:02X}").mkdir(parents=True, exist_ok=True, mode=0o700)
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        for folder in os.scandir(self._directory):
            for entry in os.scandir(folder.path):
                if entry.name not in known:
                    Path(entry.path).unlink()

    def close(self) -> None:
        """Blocking: wait for the threads, remove what is still doomed."""
        self._pool.shutdown()
        for _, blob in self._doomed:
            self._path(blob).unlink(missing_ok=True)
        self._doomed.clear()

    async def take_in(self, body: AsyncIterable[bytes], *, size_max_bytes: int, too_large: Exception) -> Blob:
        """Read `body` to its end and keep it. On any failure nothing stays. Raises `too_large`, OSError, what `body` raises."""
        chunks: list[bytes] = []
        held = total = 0
        stream = aiter(body)
        async for chunk in stream:
            chunks.append(chunk)
            held += len(chunk)
            if held > INLINE_MAX_BYTES:
                break
        else:
            return _inline(self._new_id(), b"".join(chunks))
        blob = self._new_id()
        opening = self._start(_Writer, self._path(blob))
        pending: asyncio.Future[None] | None = None
        try:
            writer = await asyncio.shield(opening)
            total = held
            async for chunk in stream:
                chunks.append(chunk)
                held += len(chunk)
                total += len(chunk)
                if total > size_max_bytes:
                    raise too_large
                if held >= BLOCK_BYTES:
                    if pending is not None:
                        await asyncio.shield(pending)
                    pending = self._start(writer.append, chunks)
                    chunks, held = [], 0
            if pending is not None:
                await asyncio.shield(pending)
            pending = self._start(writer.finish, chunks)
            await asyncio.shield(pending)
        except BaseException:
            await asyncio.shield(self._abandon(opening, pending))
            raise
        return Blob(id=blob, size_bytes=writer.size_bytes, md5=writer.md5.digest(), crc64=writer.crc64, inline=None)

    async def _abandon(self, opening: asyncio.Future[_Writer], pending: asyncio.Future[None] | None) -> None:
        """Remove the file, once no thread makes or writes it any more."""
        await asyncio.wait([opening])
        if pending is not None:
            await asyncio.wait([pending])
        if opening.exception() is None:
            await self._run(opening.result().discard)

    async def read(self, blob: str, offset_bytes: int, length_bytes: int) -> AsyncIterator[bytes]:
        """The blob's bytes in blocks, one read ahead. Raises OSError; a file that is too short is one."""
        opening = self._start(os.open, self._path(blob), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fd = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise
        coming: deque[tuple[int, asyncio.Future[bytes]]] = deque()
        try:
            while length_bytes > 0 or coming:
                while length_bytes > 0 and len(coming) < 2:
                    size = min(BLOCK_BYTES, length_bytes)
                    coming.append((size, self._start(os.pread, fd, size, offset_bytes)))
                    offset_bytes += size
                    length_bytes -= size
                size, future = coming[0]
                block = await asyncio.shield(future)
                coming.popleft()
                if len(block) != size:
                    raise OSError(f"data file {blob} is shorter than the ledger says")
                yield block
        finally:
            if coming:
                await asyncio.wait([future for _, future in coming])
            os.close(fd)

    def begin_reading(self) -> int:
        """In the event loop, before a row is looked up: a ticket; no file named by that row goes while it is held."""
        epoch = self._epoch
        self._readers[epoch] = self._readers.get(epoch, 0) + 1
        return epoch

    def end_reading(self, ticket: int) -> None:
        """In the event loop: give the ticket back."""
        self._readers[ticket] -= 1
        if not self._readers[ticket]:
            del self._readers[ticket]
        self._sweep()

    def doom(self, blobs: Iterable[str]) -> None:
        """In the event loop: these blobs have no row any more; remove their files when nobody reads them."""
        self._doomed.extend((self._epoch, blob) for blob in blobs)
        self._epoch += 1
        self._sweep()

    def forget(self, blob: Blob) -> None:
        """In the event loop: this body will not become an object."""
        if blob.inline is None:
            self.doom([blob.id])

    def _sweep(self) -> None:
        oldest = min(self._readers, default=self._epoch)
        gone = [blob for epoch, blob in self._doomed if epoch < oldest]
        if not gone:
            return
        self._doomed = [(epoch, blob) for epoch, blob in self._doomed if epoch >= oldest]
        for blob in gone:
            self._start(self._unlink, blob)

    def _unlink(self, blob: str) -> None:
        self._path(blob).unlink(missing_ok=True)

    def _path(self, blob: str) -> Path:
        return self._directory / blob[-2:] / blob

    def _start(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _run(self, function: Callable[[], T]) -> T:
        return await self._start(function)


def _close_opened(opening: asyncio.Future[int]) -> None:
    """Whoever wanted the descriptor is gone."""
    if opening.exception() is None:
        os.close(opening.result())


def _inline(blob: str, body: bytes) -> Blob:
    return Blob(
        id=blob,
        size_bytes=len(body),
        md5=hashlib.md5(body, usedforsecurity=False).digest(),
        crc64=crc64_xz(body),
        inline=body,
    )
