"""A file system in memory each of whose calls takes its time: `python -m bench.slow_disk DIRECTORY` mounts it there by FUSE.

As network file systems do it keeps its callers waiting without CPU, and serves as many of them at once as come. On stdout it says
`ready`; then it takes each number on stdin for the microseconds that calls take from now on, and answers with the calls so far as
JSON, by kind. It ends with stdin. Needs root. The kernel caches what is written until it is synced or closed, and believes names
and attributes for a second. What was removed is not given back.
"""

from __future__ import annotations

import collections
import ctypes
import errno
import heapq
import json
import os
import select
import stat
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_READ_BYTES = 1 << 20
_MAX_WRITE_BYTES = 128 << 10
_HEAD = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<6Q10I")
_VALID = struct.Struct("<QII")
_ENTRY = struct.Struct("<4Q2I")
_RENAME = struct.Struct("<QII")
_SETATTR = struct.Struct("<IIQQQQQQIIIIIIII")
_DIRENT = struct.Struct("<QQII")
_NOREPLACE = 1
_OPENED = struct.pack("<QII", 0, 0, 0)
_VALID_S = 1
_INIT_FLAGS = 1 << 0 | 1 << 5 | 1 << 16 | 1 << 18  # reads side by side, big writes, cached writes, lookups side by side
_SILENT = {2, 36, 42}  # forget, interrupt, forget many: nobody waits for an answer
_AT_ONCE = {18, 26, 29}  # the kernel does not wait for a release; and the beginning
NAMES = {
    1: "lookup", 3: "getattr", 4: "setattr", 9: "mkdir", 10: "unlink", 11: "rmdir", 12: "rename", 13: "link", 14: "open",
    15: "read", 16: "write", 17: "statfs", 18: "release", 20: "fsync", 25: "flush", 26: "init", 27: "opendir", 28: "readdir",
    29: "releasedir", 30: "fsyncdir", 35: "create", 38: "destroy", 45: "rename",
}  # fmt: skip


@dataclass(slots=True)
class Node:
    """A file or a directory."""

    mode: int
    modify_ns: int
    data: bytearray = field(default_factory=bytearray)
    names: dict[bytes, int] = field(default_factory=dict)
    links: int = 1
    owner: int = 0
    group: int = 0
    change_ns: int = 0


class Disk:
    """All nodes, and what each kind of request does with them: takes node and body, gives the answer's body. Raises OSError."""

    def __init__(self) -> None:
        self.nodes = {1: Node(stat.S_IFDIR | 0o755, time.time_ns())}
        self.kinds: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup, 3: self._getattr, 4: self._setattr, 9: self._mkdir, 10: self._unlink, 11: self._unlink,
            12: self._rename, 13: self._link, 14: self._open, 15: self._read, 16: self._write, 17: self._statfs,
            18: self._nothing, 20: self._nothing, 25: self._nothing, 26: self._init, 27: self._open, 28: self._list,
            29: self._nothing, 30: self._nothing, 35: self._create, 38: self._nothing, 45: self._rename_2,
        }  # fmt: skip

    def _init(self, _: int, body: bytes) -> bytes:
        read_ahead = struct.unpack_from("<4I", body)[2]
        sizes = struct.pack("<HHIIHHI7I", 256, 256, _MAX_WRITE_BYTES, 1, 32, 0, 0, *[0] * 7)
        return struct.pack("<4I", 7, 31, read_ahead, _INIT_FLAGS) + sizes

    def _told(self, number: int) -> bytes:
        node = self.nodes[number]
        size = len(node.data)
        modify, change = divmod(node.modify_ns, 10**9), divmod(node.change_ns or node.modify_ns, 10**9)
        times = (modify[0], modify[0], change[0], modify[1], modify[1], change[1])
        return _ATTRIBUTES.pack(
            number, size, -(-size // 512), *times, node.mode, node.links, node.owner, node.group, 0, 4096, 0
        )

    def _entry(self, number: int) -> bytes:
        return _ENTRY.pack(number, 0, _VALID_S, _VALID_S, 0, 0) + self._told(number)

    def _add(self, parent: int, name: bytes, mode: int) -> int:
        if name in self.nodes[parent].names:
            raise FileExistsError(errno.EEXIST, "")
        number = len(self.nodes) + 1
        self.nodes[number] = Node(mode, time.time_ns())
        self.nodes[parent].names[name] = number
        return number

    def _lookup(self, number: int, body: bytes) -> bytes:
        return self._entry(self.nodes[number].names[body[:-1]])

    def _getattr(self, number: int, _: bytes) -> bytes:
        return _VALID.pack(_VALID_S, 0, 0) + self._told(number)

    def _setattr(self, number: int, body: bytes) -> bytes:
        node = self.nodes[number]
        valid, _, _, size, _, _, modify, _, _, modify_ns, _, mode, _, owner, group, _ = _SETATTR.unpack_from(body)
        if valid & 1:
            node.mode = stat.S_IFMT(node.mode) | mode & 0o7777
        node.owner, node.group = owner if valid & 2 else node.owner, group if valid & 4 else node.group
        if valid & 8:
            del node.data[size:]
            node.data.extend(bytes(size - len(node.data)))
        if valid & 32:
            node.modify_ns = modify * 10**9 + modify_ns
        node.change_ns = time.time_ns()
        return self._getattr(number, body)

    def _mkdir(self, number: int, body: bytes) -> bytes:
        (mode,) = struct.unpack_from("<I", body)
        return self._entry(self._add(number, body[8:-1], stat.S_IFDIR | mode & 0o7777))

    def _create(self, number: int, body: bytes) -> bytes:
        (mode,) = struct.unpack_from("<I", body, 4)
        return self._entry(self._add(number, body[16:-1], stat.S_IFREG | mode & 0o7777)) + _OPENED

    def _unlink(self, number: int, body: bytes) -> bytes:
        self.nodes[self.nodes[number].names.pop(body[:-1])].links -= 1
        return b""

    def _link(self, number: int, body: bytes) -> bytes:
        (old,) = struct.unpack_from("<Q", body)
        self.nodes[number].names[body[8:-1]] = old
        self.nodes[old].links += 1
        return self._entry(old)

    def _rename(self, number: int, body: bytes) -> bytes:
        (target,) = struct.unpack_from("<Q", body)
        return self._renamed(number, target, body[8:])

    def _rename_2(self, number: int, body: bytes) -> bytes:
        target, flags, _ = _RENAME.unpack_from(body)
        if flags & ~_NOREPLACE:
            raise OSError(errno.EINVAL, "")
        if flags and body[16:].split(b"\0")[1] in self.nodes[target].names:
            raise FileExistsError(errno.EEXIST, "")
        return self._renamed(number, target, body[16:])

    def _renamed(self, number: int, target: int, names: bytes) -> bytes:
        old, new = names.split(b"\0")[:2]
        self.nodes[target].names[new] = self.nodes[number].names.pop(old)
        return b""

    def _open(self, _number: int, _body: bytes) -> bytes:
        return _OPENED

    def _read(self, number: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self.nodes[number].data[offset : offset + size])

    def _write(self, number: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        data = self.nodes[number].data
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + size] = body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def _list(self, number: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        out = bytearray()
        for at, (name, child) in enumerate(list(self.nodes[number].names.items())[offset:], offset + 1):
            made = _DIRENT.pack(child, at, len(name), stat.S_IFMT(self.nodes[child].mode) >> 12) + name
            made += bytes(-len(made) % 8)
            if len(out) + len(made) > size:
                break
            out += made
        return bytes(out)

    def _statfs(self, _number: int, _body: bytes) -> bytes:
        return struct.pack("<5Q4I6I", 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 4096, 255, 4096, 0, *[0] * 6)

    def _nothing(self, _number: int, _body: bytes) -> bytes:
        return b""


class Server:
    """Answers what the kernel asks, each when it is due; nobody waits for another's turn."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._disk = Disk()
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self.is_mounted = True
        self.delay_s = 0.0
        self.calls: collections.Counter[str] = collections.Counter()

    def patience_s(self) -> float | None:
        """How long until the next answer is due; None if there is none."""
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else None

    def take(self) -> None:
        """Read all requests that are there."""
        while True:
            try:
                request = os.read(self._descriptor, _READ_BYTES + 4096)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENODEV:
                    self.is_mounted = False
                    return
                if error.errno not in {errno.EINTR, errno.ENOENT}:  # the one who asked has gone
                    raise
                continue
            self._serve(request)

    def _serve(self, request: bytes) -> None:
        _, kind, unique, number, *_ = _HEAD.unpack_from(request)
        if kind in _SILENT:
            return
        self.calls[NAMES.get(kind, str(kind))] += 1
        trouble, body = 0, b""
        try:
            body = self._disk.kinds[kind](number, request[_HEAD.size :]) if kind in self._disk.kinds else b""
            trouble = 0 if kind in self._disk.kinds else errno.ENOSYS
        except KeyError:
            trouble = errno.ENOENT
        except OSError as error:
            trouble = error.errno or errno.EIO
        answer = _ANSWER.pack(_ANSWER.size + len(body), -trouble, unique) + body
        if not self.delay_s or kind in _AT_ONCE:
            self._send(answer)
            return
        self._count += 1
        heapq.heappush(self._due, (time.monotonic() + self.delay_s, self._count, answer))

    def give(self) -> None:
        """Send the answers that are due."""
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            self._send(heapq.heappop(self._due)[2])

    def _send(self, answer: bytes) -> None:
        try:
            os.write(self._descriptor, answer)
        except FileNotFoundError:  # the one who asked has gone
            return


def mount(directory: str) -> int:
    """The descriptor on which its requests come. Raises OSError."""
    kernel = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if kernel.mount(b"slow-disk", directory.encode(), b"fuse.slow", 6, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)
    return descriptor


def main(directory: str) -> None:
    """Serve until stdin ends, or it is unmounted."""
    descriptor = mount(directory)
    server = Server(descriptor)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while server.is_mounted:
        readable, _, _ = select.select([descriptor, sys.stdin], [], [], server.patience_s())
        server.give()
        if descriptor in readable:
            server.take()
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            server.delay_s = float(line) / 1e6
            sys.stdout.write(json.dumps(server.calls) + "\n")
            sys.stdout.flush()
            server.calls.clear()


if __name__ == "__main__":
    main(sys.argv[1])
