"""The floor: what moving the same bytes costs with raw sockets and nothing else, in the same shape as Penstock does it.

    python -m bench.floor import-large PORT PATH SIZE TARGET       ranged GETs: recv + CRC + pwrite, then made durable
    python -m bench.floor export-large PORT PATH SOURCE            a multipart upload: pread + CRC + send
    python -m bench.floor import-small PORT PATH COUNT DIRECTORY   a GET each: recv + CRC + pwrite, each made durable
    python -m bench.floor export-small PORT PATH COUNT DIRECTORY   a PUT each: read + CRC + send

Durable means fsync, rename, fsync of the directory.

Same threads, part and buffer sizes, bound of unsynced bytes and fsyncs as Penstock's defaults; no signatures, no records, no
service. It judges nothing it moves but the checksums it is told.
"""

from __future__ import annotations

import mmap
import os
import queue
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import TypeVar

import fastcrc

from penstock.transfer.crc64 import combine_all
from penstock.transfer.part_file import DIRECT_GRAIN_BYTES
from penstock.transfer.partial import DIRECT_ALIGN_BYTES
from penstock.transfer.transfer import TransferLimits

Item = TypeVar("Item")
LIMITS = TransferLimits()
SMALL_PROCESSES = 2
SMALL_THREADS = 8
HEAD_MAX_BYTES = 64 << 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CRC = re.compile(rb"\r\nx-oss-hash-crc64ecma: *(\d+)", re.IGNORECASE)
_UPLOAD = re.compile(rb"<UploadId>(.*?)</UploadId>")


class Link:
    """One connection: send a head, take in an answer."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(LIMITS.buffer_bytes))

    def send(self, head: str, *body: memoryview) -> None:
        """A request."""
        views = [view for view in (memoryview(head.encode()), *body) if len(view)]
        while views:
            sent = self._sock.sendmsg(views)
            while views and sent >= len(views[0]):
                sent -= len(views[0])
                del views[0]
            if sent:
                views[0] = views[0][sent:]

    def head(self) -> tuple[bytes, bytes]:
        """The head of an answer, and what came behind it."""
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = self._sock.recv(HEAD_MAX_BYTES)
            if not more:
                raise ConnectionError("the server went away")
            data += more
        if data[9:12] not in {b"200", b"206"}:
            raise ConnectionError(f"refused: {data[:100]!r}")
        return data[: end + 2], data[end + 4 :]

    def body_in(self, laying: Laying) -> tuple[int, int | None]:
        """Takes in an answer grain by grain; its checksum, and the one the head tells of the object."""
        return self.rest_in(*self.head(), laying)

    def rest_in(self, head: bytes, rest: bytes, laying: Laying) -> tuple[int, int | None]:
        """The same once the head is there, and `rest`, what came with it."""
        left = _length(head) - len(rest)
        told = _CRC.search(head)
        crc = fastcrc.crc64.xz(rest)
        laying.grain[: len(rest)] = rest
        filled = len(rest)
        while left:
            count = self._sock.recv_into(laying.grain[filled:], min(left, len(laying.grain) - filled))
            if count == 0:
                raise ConnectionError("the server went away")
            crc = fastcrc.crc64.xz(laying.grain[filled : filled + count], crc)
            filled += count
            left -= count
            if filled == len(laying.grain):
                laying.put(filled)
                filled = 0
        if filled:
            laying.put(filled)
        return crc, int(told.group(1)) if told else None

    def body(self, write: Callable[[memoryview], None]) -> tuple[int, int | None]:
        """Takes in an answer piece by piece; its checksum, and the one the head tells of the object."""
        head, rest = self.head()
        left = _length(head)
        told = _CRC.search(head)
        crc = 0
        if rest:
            crc = fastcrc.crc64.xz(rest)
            write(memoryview(rest))
            left -= len(rest)
        while left:
            count = self._sock.recv_into(self._buffer, min(left, len(self._buffer)))
            if count == 0:
                raise ConnectionError("the server went away")
            crc = fastcrc.crc64.xz(self._buffer[:count], crc)
            write(self._buffer[:count])
            left -= count
        return crc, int(told.group(1)) if told else None

    def text(self) -> bytes:
        """Takes in a short answer."""
        pieces: list[bytes] = []
        self.body(lambda piece: pieces.append(bytes(piece)))
        return b"".join(pieces)


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    if found is None:
        raise ConnectionError("an answer without a length")
    return int(found.group(1))


def in_threads(count: int, work: Callable[[], None]) -> None:
    """Runs `work` in so many threads; raises what any of them raised."""
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (raised again below)
            errors.put(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not errors.empty():
        raise errors.get()


def parts_of(size: int) -> queue.SimpleQueue[tuple[int, int, int]]:
    """Number, offset and length of each part."""
    step = LIMITS.part_size_bytes
    return queue_of(
        (number, offset, min(step, size - offset)) for number, offset in enumerate(range(0, size, step), start=1)
    )


def queue_of(items: Iterable[Item]) -> queue.SimpleQueue[Item]:
    """Work that threads take in turn."""
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for each in items:
        waiting.put(each)
    return waiting


def taken_from(work: queue.SimpleQueue[Item]) -> Item | None:
    """The next one, or None."""
    try:
        return work.get_nowait()
    except queue.Empty:
        return None


class Laying:
    """Puts grains into a file one behind the other, past the page cache where that is possible, as Penstock does."""

    def __init__(self) -> None:
        self._descriptor = self._direct = -1
        self.grain = memoryview(mmap.mmap(-1, DIRECT_GRAIN_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._offset = 0

    def onto(self, descriptor: int, direct: int, offset: int = 0) -> None:
        """The next grain goes there; `direct` -1: through the page cache."""
        self._descriptor, self._direct, self._offset = descriptor, direct, offset

    def put(self, count: int) -> None:
        """The first `count` bytes of the grain."""
        aligned = 0 if self._direct < 0 else count - count % DIRECT_ALIGN_BYTES
        if aligned:
            os.pwrite(self._direct, self.grain[:aligned], self._offset)
        if count > aligned:
            os.pwrite(self._descriptor, self.grain[aligned:count], self._offset + aligned)
        self._offset += count


def open_direct(path: str) -> int:
    """For writing past the page cache; -1 where that cannot be."""
    try:
        return os.open(path, os.O_WRONLY | os.O_DIRECT)
    except OSError:
        return -1


class Unsynced:
    """Bounds what is written and not yet on the disk, as Penstock does."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._counting = threading.Lock()
        self._syncing = threading.Lock()
        self._bytes = 0

    def wrote(self, count: int) -> None:
        """So many more; at the bound one of the threads does an fdatasync."""
        with self._counting:
            self._bytes += count
            if self._bytes < LIMITS.unsynced_bytes_max:
                return
            self._bytes = 0
        with self._syncing:
            os.fdatasync(self._descriptor)
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def import_large(port: int, path: str, size: int, target: str) -> None:
    """One object into one file, durable."""
    partial = f"{target}.partial"
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.posix_fallocate(descriptor, 0, size)
    direct = open_direct(partial)
    parts, crcs, told = parts_of(size), {}, set()
    unsynced = Unsynced(descriptor)

    def work() -> None:
        link = Link(port)
        laying = Laying()
        while (part := taken_from(parts)) is not None:
            number, start, length = part
            laying.onto(descriptor, direct, start)
            link.send(f"GET {path} HTTP/1.1\r\nhost: floor\r\nrange: bytes={start}-{start + length - 1}\r\n\r\n")
            crc, whole = link.body_in(laying)
            crcs[number] = (crc, length)
            told.add(whole)
            unsynced.wrote(length)

    in_threads(LIMITS.parts_in_flight, work)
    crc = combine_all(crcs[number] for number in sorted(crcs))
    if told != {crc}:
        raise ConnectionError(f"read {crc}, the store tells {told}")
    if direct >= 0:
        os.close(direct)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(partial, target)
    sync_directory(os.path.dirname(target))


def export_large(port: int, path: str, source: str) -> None:
    """One file into one object, by a multipart upload."""
    descriptor = os.open(source, os.O_RDONLY)
    parts = parts_of(os.fstat(descriptor).st_size)
    first = Link(port)
    first.send(f"POST {path}?uploads HTTP/1.1\r\nhost: floor\r\ncontent-length: 0\r\n\r\n")
    found = _UPLOAD.search(first.text())
    upload = found.group(1).decode() if found else ""
    etags: dict[int, str] = {}

    def work() -> None:
        link = Link(port)
        room = memoryview(bytearray(LIMITS.buffer_bytes))
        while (part := taken_from(parts)) is not None:
            number, offset, length = part
            asked = f"PUT {path}?partNumber={number}&uploadId={upload}"
            crc = _sent(link, asked, descriptor, range(offset, offset + length), room)
            if _crc_of(link) != crc:
                raise ConnectionError(f"part {number} was damaged")
            etags[number] = f"{crc:032X}-1"

    in_threads(LIMITS.parts_in_flight, work)
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etags[number]}</ETag></Part>" for number in sorted(etags)
    )
    text = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>"
    first.send(f"POST {path}?uploadId={upload} HTTP/1.1\r\nhost: floor\r\ncontent-length: {len(text)}\r\n\r\n{text}")
    first.text()


def _sent(link: Link, asked: str, descriptor: int, span: range, room: memoryview) -> int:
    """Sends that span of a file as the body of a request; its checksum."""
    head = f"{asked} HTTP/1.1\r\nhost: floor\r\ncontent-length: {len(span)}\r\n\r\n"
    crc = done = 0
    while done < len(span):
        count = os.preadv(descriptor, [room[: len(span) - done]], span.start + done)
        crc = fastcrc.crc64.xz(room[:count], crc)
        link.send("" if done else head, room[:count])
        done += count
    return crc


def _crc_of(link: Link) -> int:
    """The checksum that an answer without a body tells."""
    head, _ = link.head()
    found = _CRC.search(head)
    return int(found.group(1)) if found else -1


def import_small(port: int, path: str, names: list[str], directory: str) -> None:
    """Objects into files, each durable by itself."""
    waiting = queue_of(names)
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def work() -> None:
        link, laying = Link(port), Laying()
        while (name := taken_from(waiting)) is not None:
            link.send(f"GET {path}/{name} HTTP/1.1\r\nhost: floor\r\n\r\n")
            head, rest = link.head()
            partial = f"{directory}/{name}.partial"
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            direct = open_direct(partial) if _length(head) >= LIMITS.direct_min_bytes else -1
            laying.onto(descriptor, direct)
            crc, told = link.rest_in(head, rest, laying)
            if crc != told:
                raise ConnectionError(f"{name} was damaged")
            if direct >= 0:
                os.close(direct)
            os.fsync(descriptor)
            os.close(descriptor)
            os.rename(f"{name}.partial", name, src_dir_fd=held, dst_dir_fd=held)
            os.fsync(held)

    in_threads(SMALL_THREADS, work)


def export_small(port: int, path: str, names: list[str], directory: str) -> None:
    """Files into objects."""
    waiting = queue_of(names)

    def work() -> None:
        link, room = Link(port), memoryview(bytearray(LIMITS.grain_bytes))
        while (name := taken_from(waiting)) is not None:
            descriptor = os.open(f"{directory}/{name}", os.O_RDONLY)
            size = os.fstat(descriptor).st_size
            crc = _sent(link, f"PUT {path}/{name}", descriptor, range(size), room)
            os.close(descriptor)
            if _crc_of(link) != crc:
                raise ConnectionError(f"{name} was damaged")

    in_threads(SMALL_THREADS, work)


def sync_directory(path: str) -> None:
    """Makes its entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def in_processes(work: Callable[[list[str]], None], names: list[str]) -> int:
    """Divides the names among processes, as movers are; the worst exit status."""
    children = []
    for number in range(SMALL_PROCESSES):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(names[number::SMALL_PROCESSES])
                status = 0
            except Exception:  # noqa: BLE001  (nobody else will tell: this process leaves without ceremony)
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def await_go() -> None:
    """Says that it is ready and waits: Penstock runs already when its work comes, so starting up is nobody's cost here."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def main(arguments: list[str]) -> int:
    """One move; 0 when all went well."""
    await_go()
    mode, port, path, *rest = arguments
    if mode == "import-large":
        import_large(int(port), path, int(rest[0]), rest[1])
        return 0
    if mode == "export-large":
        export_large(int(port), path, rest[0])
        return 0
    names = [f"{number:06d}" for number in range(int(rest[0]))]
    move = import_small if mode == "import-small" else export_small
    return in_processes(lambda mine: move(int(port), path, mine, rest[1]), names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
