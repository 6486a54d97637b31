"""What a program did to files, names and sockets: values, and their reading out of what strace has written.

An operation began and ended at lines of the record, so what lies between two of them is known to have come before or after;
what overlaps may have come in either order.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Kind(StrEnum):
    """What was done."""

    CREATE = "create"  # a name that was free, or an open of one that was taken
    WRITE = "write"
    RESIZE = "resize"
    RESERVE = "reserve"  # space up to a length, which the file then has at least
    DRESS = "dress"  # permissions or times
    SYNC = "sync"
    DATA_SYNC = "data sync"  # without what is not needed to read the data: times, permissions
    FAILED_SYNC = "failed sync"  # of either sort: what was not durable before never will be, whatever a later one says
    RENAME = "rename"
    LINK = "link"
    UNLINK = "unlink"
    MAKE_DIRECTORY = "make directory"
    REMOVE_DIRECTORY = "remove directory"
    SEND = "send"  # to a socket or pipe; `path` names its ends


AT_THE_END = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call that succeeded, or a sync that did not.

    `offset` is where it writes (AT_THE_END: behind all), or the length that it gives.
    """

    kind: Kind
    process: int
    begin: int
    end: int
    path: str
    new_path: str = ""
    data: bytes = b""
    offset: int = AT_THE_END
    mode: int | None = None
    modify_ns: int | None = None
    truncates: bool = False

    def __str__(self) -> str:
        size = f" {len(self.data)}@{self.offset}" if self.kind is Kind.WRITE else ""
        arrow = f" -> {self.new_path}" if self.new_path else ""
        return f"{self.begin}: {self.kind} {self.path}{arrow}{size}"

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """The directory of the path."""
        return self.path.rpartition("/")[0]


_FD = r"\d+<(?P<path>[^>]*(?:->[^>]*)?)>(?P<gone>\(deleted\))?"
_AT = r"(?:AT_FDCWD|\d+)<(?P<{0}at>[^>]*)>, \"(?P<{0}name>[^\"]*)\""
_PLAIN = r"\"(?P<path>[^\"]*)\""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    kind: Kind
    arguments: re.Pattern[str]


def _pattern(kind: Kind, arguments: str) -> _Pattern:
    return _Pattern(kind=kind, arguments=re.compile(arguments, re.DOTALL))


_PATTERNS = {
    "openat": _pattern(Kind.CREATE, _AT.format("") + r", (?P<flags>[A-Z_|]*O_CREAT[A-Z_|]*)(?:, (?P<mode>0\d+))?"),
    "write": _pattern(Kind.WRITE, _FD + r", \"(?P<data>.*)\", \d+"),
    "pwrite64": _pattern(Kind.WRITE, _FD + r", \"(?P<data>.*)\", \d+, (?P<offset>\d+)"),
    "writev": _pattern(Kind.WRITE, _FD + r", \[(?P<pieces>.*)\], \d+"),
    "ftruncate": _pattern(Kind.RESIZE, _FD + r", (?P<offset>\d+)"),
    "fallocate": _pattern(Kind.RESERVE, _FD + r", 0, 0, (?P<offset>\d+)"),
    "fchmod": _pattern(Kind.DRESS, _FD + r", (?P<mode>0\d+)"),
    "utimensat": _pattern(Kind.DRESS, _FD + r", NULL, \[.*\{tv_sec=(?P<s>\d+), tv_nsec=(?P<ns>\d+)\}[^{]*\], 0"),
    "fsync": _pattern(Kind.SYNC, _FD),
    "fdatasync": _pattern(Kind.DATA_SYNC, _FD),
    "rename": _pattern(Kind.RENAME, _PLAIN + r", \"(?P<newname>[^\"]*)\""),
    "renameat": _pattern(Kind.RENAME, _AT.format("") + ", " + _AT.format("new")),
    "renameat2": _pattern(Kind.RENAME, _AT.format("") + ", " + _AT.format("new") + r", (?:0|RENAME_NOREPLACE)"),
    "linkat": _pattern(Kind.LINK, _AT.format("") + ", " + _AT.format("new") + r", \w+"),
    "unlink": _pattern(Kind.UNLINK, _PLAIN),
    "unlinkat": _pattern(Kind.UNLINK, _AT.format("") + r", (?P<flags>\w+)"),
    "mkdir": _pattern(Kind.MAKE_DIRECTORY, _PLAIN + r", 0\d+"),
    "mkdirat": _pattern(Kind.MAKE_DIRECTORY, _AT.format("") + r", 0\d+"),
    "rmdir": _pattern(Kind.REMOVE_DIRECTORY, _PLAIN),
    "sendto": _pattern(Kind.SEND, _FD + r", \"(?P<data>.*)\", \d+, .*"),
    "sendmsg": _pattern(Kind.SEND, _FD + r", \{.*?msg_iov=\[(?P<pieces>.*)\], msg_iovlen.*"),
}
_ELSEWHERE = re.compile(r"^(?:TCP|UNIX|UDP|NETLINK|socket|pipe|anon_inode|TCPv6|/dev/)")
_LINE = re.compile(r"^(?P<process>\d+) +(?P<name>\w+)\((?P<rest>.*)$", re.DOTALL)
_RESUMED = re.compile(r"^(?P<process>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$", re.DOTALL)
_RESULT = re.compile(r"\)\s+= (?P<number>-?\d+)(?:<(?P<path>[^>]*)>)?[^=]*$")
_PIECE = re.compile(r"iov_base=\"(?P<data>(?:[^\"\\]|\\.)*)\"", re.DOTALL)
_SYNCS = frozenset({"fsync", "fdatasync"})
_UNFINISHED = " <unfinished ...>"


class UnreadError(AssertionError):
    """A call on a file that matters, of a form that is not known here: what it does would be missing from the picture."""


def read(trace: Path, *, world: Path) -> list[Operation]:
    """All operations of a record below the directory `world`, and all that was sent, in the order in which they ended."""
    inside = f"{world}/"
    with trace.open(encoding="latin-1", newline="\n") as lines:
        found = list(_operations(lines, inside))
    return [one for one in found if one.kind is Kind.SEND or one.path.startswith(inside) or one.path == str(world)]


def _operations(lines: Iterable[str], inside: str) -> Iterator[Operation]:
    begun: dict[int, tuple[int, str, str]] = {}
    for number, ended_line in enumerate(lines):
        line = ended_line.rstrip("\n")
        resumed = _RESUMED.match(line)
        if resumed:
            begin, name, head = begun.pop(int(resumed["process"]))
            process, text = int(resumed["process"]), head + resumed["rest"]
        else:
            called = _LINE.match(line)
            if not called:
                continue
            begin, process, name, text = number, int(called["process"]), called["name"], called["rest"]
            if text.endswith(_UNFINISHED):
                begun[process] = begin, name, text.removesuffix(_UNFINISHED)
                continue
        operation = _operation(_Call(name, text, process, begin, number), inside)
        if operation is not None:
            yield operation


class _Call(NamedTuple):
    """A call: its name, and what strace wrote behind that, up to the result."""

    name: str
    text: str
    process: int
    begin: int
    end: int


def _operation(call: _Call, inside: str) -> Operation | None:
    name, text = call.name, call.text
    result = _RESULT.search(text[-4096:])
    if result is None or (int(result["number"]) < 0 and name not in _SYNCS):
        return None
    arguments = text[: len(text) - len(text[-4096:]) + result.start()]
    pattern = _PATTERNS.get(name)
    found = pattern.arguments.fullmatch(arguments) if pattern else None
    if pattern is None or found is None:
        is_open = name in {"openat", "creat"} and "O_CREAT" not in arguments and "O_TRUNC" not in arguments
        if not is_open and inside in arguments:
            raise UnreadError(f"line {call.begin}: {name}({arguments[:300]}")
        return None
    return _made(call, pattern.kind, found, result)


def _made(call: _Call, kind: Kind, found: re.Match[str], result: re.Match[str]) -> Operation | None:
    groups = found.groupdict()
    if groups.get("gone"):
        return None  # nobody will find it again, whatever is done to it
    path = groups["path"] if "path" in groups else _joined(groups["at"], groups["name"])
    if kind is Kind.CREATE:
        path = result["path"] or path
    if int(result["number"]) < 0:
        kind = Kind.FAILED_SYNC
    if kind is Kind.UNLINK and groups.get("flags") == "AT_REMOVEDIR":
        kind = Kind.REMOVE_DIRECTORY
    data = b""
    if groups.get("pieces") is not None:
        data = b"".join(_bytes(piece["data"]) for piece in _PIECE.finditer(groups["pieces"]))
    elif groups.get("data") is not None:
        data = _bytes(groups["data"])
    if kind in {Kind.WRITE, Kind.SEND}:
        kind = Kind.SEND if _ELSEWHERE.match(path) else Kind.WRITE
        data = data[: int(result["number"])]
    number = groups.get("offset")
    return Operation(
        kind=kind,
        process=call.process,
        begin=call.begin,
        end=call.end,
        path=path,
        new_path=_joined(groups.get("newat") or "", groups["newname"]) if groups.get("newname") else "",
        data=data,
        offset=AT_THE_END if number is None else int(number),
        mode=int(groups["mode"], 8) if groups.get("mode") else None,
        modify_ns=int(groups["s"]) * 10**9 + int(groups["ns"]) if groups.get("s") else None,
        truncates="O_TRUNC" in (groups.get("flags") or ""),
    )


def _joined(directory: str, name: str) -> str:
    path = name if name.startswith("/") else f"{directory}/{name}"
    return path.replace("/./", "/")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else _unescaped(text)


def _unescaped(text: str) -> bytes:
    decode: Callable[[bytes], tuple[bytes, int]] = codecs.escape_decode
    return decode(text.encode("latin-1"))[0]
