"""A model of a disk: files and names below one directory, the changes that operations make to them, and what survives of those.

A change survives a power cut for certain once a sync that began after it has ended: of the file, for what is in it; of the
directory, for a name. A sync that failed is believed: what it was to make durable never is, whatever a later one says. All
else may be lost or not, whatever becomes of its neighbours: nothing is assumed of the order in which a file system writes, not
even that syncing a new file keeps its name. A rename is one change: it happens or not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.power import journals
from tests.faults.power.operations import AT_THE_END, Kind, Operation

NEVER = 1 << 62
DIRECTORY_MODE = 0o755
Node = int


@dataclass(slots=True)
class Inode:
    """A file, or a directory when it has names. `partial` is the file that a journal is of."""

    names: dict[str, Node] | None = None
    content: bytearray = field(default_factory=bytearray)
    mode: int = 0o600
    modify_ns: int | None = None
    partial: Node | None = None
    look: bytes = b""

    def copy(self) -> Inode:
        """Another one that is the same."""
        names = None if self.names is None else dict(self.names)
        return Inode(names, bytearray(self.content), self.mode, self.modify_ns, self.partial)

    def digest(self) -> bytes:
        """The same for files that look the same."""
        if not self.look:
            told = f"{self.mode} {self.names is None} {self.modify_ns}\0".encode()
            self.look = hashlib.blake2b(told + self.content, digest_size=16).digest()
        return self.look


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an operation does to `node`, whose sync makes it durable, from the line `durable` of the record on.

    `names` are set, or taken away where they lead to None. A write has `offset` and `data`.
    """

    operation: Operation
    node: Node
    names: tuple[tuple[str, Node | None], ...] = ()
    offset: int = 0
    durable: int = NEVER

    @property
    def is_write(self) -> bool:
        """Whether it puts bytes into a file."""
        return self.operation.kind is Kind.WRITE

    @property
    def end(self) -> int:
        """The line at which it had happened."""
        return self.operation.end


class Disk:
    """The files below a directory. Paths are relative to it; "" is the directory itself. Copies share what is not changed."""

    def __init__(self, inodes: dict[Node, Inode] | None = None) -> None:
        self._inodes = inodes or {0: Inode({})}
        self._own: set[Node] = set()

    @classmethod
    def of(cls, directory: Path, *, matters: Callable[[str], bool]) -> Disk:
        """What is there now and matters, by its relative path. Sockets and links are left out."""
        disk = cls()
        for path in sorted(directory.rglob("*")):
            name = os.path.relpath(path, directory)
            if path.is_symlink() or not matters(name):
                continue
            found = path.stat()
            if path.is_dir():
                inode = Inode({}, mode=found.st_mode & 0o7777)
            elif path.is_file():
                inode = Inode(None, bytearray(path.read_bytes()), found.st_mode & 0o7777, found.st_mtime_ns)
            else:
                continue
            disk._add(disk._directory(os.path.relpath(path.parent, directory)), path.name, inode)
        return disk

    def copy(self) -> Disk:
        """Another one that is the same."""
        self._own = set()
        return Disk(dict(self._inodes))

    def _owned(self, node: Node) -> Inode:
        """To be changed."""
        if node not in self._own:
            self._own.add(node)
            self._inodes[node] = self._inodes[node].copy()
        inode = self._inodes[node]
        inode.look = b""
        return inode

    def _add(self, directory: Node, name: str, inode: Inode) -> Node:
        node = len(self._inodes)
        self._inodes[node] = inode
        names = self._owned(directory).names
        assert names is not None
        names[name] = node
        return node

    def _names(self, directory: Node) -> dict[str, Node]:
        names = self._inodes[directory].names
        assert names is not None
        return names

    def find(self, path: str) -> Node | None:
        """What has that path."""
        node: Node | None = 0
        for name in path.split("/"):
            if name in {"", "."}:
                continue
            if node is None or self._inodes[node].names is None:
                return None
            node = self._names(node).get(name)
        return node

    def _directory(self, path: str) -> Node:
        node = self.find(path)
        assert node is not None, f"no directory {path!r}"
        return node

    # ------------------------------------------------------------------------------------------------------------ changing

    def take(self, operation: Operation, path: str, new_path: str) -> Change | None:
        """Do it, and say which change it is; None where it changes nothing."""
        directory, _, name = path.rpartition("/")
        match operation.kind:
            case Kind.CREATE:
                return self._create(operation, path)
            case Kind.MAKE_DIRECTORY:
                made = self._new(Inode({}, mode=DIRECTORY_MODE))
                return self._named(operation, self._directory(directory), ((name, made),))
            case Kind.UNLINK | Kind.REMOVE_DIRECTORY:
                return self._named(operation, self._directory(directory), ((name, None),))
            case Kind.RENAME | Kind.LINK:
                new_directory, _, new_name = new_path.rpartition("/")
                assert directory == new_directory, f"{operation} goes from one directory to another: not known here"
                kept = self.find(path) if operation.kind is Kind.LINK else None
                return self._named(operation, self._directory(directory), ((name, kept), (new_name, self.find(path))))
            case _:
                node = self.find(path)
                if node is None:
                    return None
                change = Change(operation=operation, node=node, offset=self._offset(operation, node))
                self.apply(change)
                return change

    def _create(self, operation: Operation, path: str) -> Change | None:
        directory, _, name = path.rpartition("/")
        node = self.find(path)
        if node is not None:
            assert not operation.truncates or not self._inodes[node].content, (
                f"{operation} empties a file: not known here"
            )
            return None
        partial = self.find(journals.partial_of(path)) if journals.is_journal(path) else None
        made = self._new(Inode(mode=(operation.mode or 0o600) & 0o755, partial=partial))
        return self._named(operation, self._directory(directory), ((name, made),))

    def _new(self, inode: Inode) -> Node:
        node = len(self._inodes)
        self._inodes[node] = inode
        return node

    def _named(self, operation: Operation, node: Node, names: tuple[tuple[str, Node | None], ...]) -> Change:
        change = Change(operation=operation, node=node, names=names)
        self.apply(change)
        return change

    def _offset(self, operation: Operation, node: Node) -> int:
        return len(self._inodes[node].content) if operation.offset == AT_THE_END else operation.offset

    def apply(self, change: Change, *, data: bytes | None = None) -> None:
        """Do a change, of a write perhaps with other bytes than it had."""
        inode = self._owned(change.node)
        if change.names:
            names = inode.names
            assert names is not None
            for name, node in change.names:
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
            return
        operation = change.operation
        match operation.kind:
            case Kind.WRITE:
                data = operation.data if data is None else data
                _lengthen(inode.content, change.offset)
                inode.content[change.offset : change.offset + len(data)] = data
            case Kind.RESIZE:
                del inode.content[change.offset :]
                _lengthen(inode.content, change.offset)
            case Kind.RESERVE:
                _lengthen(inode.content, change.offset)
            case Kind.DRESS:
                inode.mode = inode.mode if operation.mode is None else operation.mode
                inode.modify_ns = inode.modify_ns if operation.modify_ns is None else operation.modify_ns

    def lengthen(self, change: Change) -> None:
        """Of a write only its length arrives: zeros behind what was there, which stays as it was."""
        content = self._owned(change.node).content
        _lengthen(content, change.offset + len(change.operation.data))

    def empty(self, inodes: Mapping[Node, Inode]) -> None:
        """Let it know of inodes that are not named yet: new files begin empty, new directories without names."""
        for node, inode in inodes.items():
            if node not in self._inodes:
                self._inodes[node] = Inode(None if inode.names is None else {}, mode=inode.mode, partial=inode.partial)

    @property
    def inodes(self) -> Mapping[Node, Inode]:
        """All of them, named or not."""
        return self._inodes

    # ------------------------------------------------------------------------------------------------------------- looking

    def files(self) -> Iterable[tuple[str, Inode]]:
        """Path and inode of everything that has a name, directories before what is in them."""
        return ((path, self._inodes[node]) for path, node in self._named_nodes())

    def _named_nodes(self) -> Iterable[tuple[str, Node]]:
        waiting: list[tuple[str, Node]] = [("", 0)]
        while waiting:
            path, node = waiting.pop()
            inode = self._inodes[node]
            if path:
                yield path, node
            if inode.names is not None:
                waiting += [(f"{path}/{name}".lstrip("/"), child) for name, child in sorted(inode.names.items())]

    def digest(self) -> bytes:
        """The same for disks that look the same."""
        sum_ = hashlib.blake2b(digest_size=16)
        for path, inode in self.files():
            sum_.update(path.encode() + b"\0" + inode.digest())
        return sum_.digest()

    def write(self, directory: Path) -> None:
        """Make it real."""
        directory.mkdir(parents=True, exist_ok=True)
        for path, inode in self.files():
            made = directory / path
            if inode.names is not None:
                made.mkdir(mode=inode.mode)
                continue
            made.write_bytes(inode.content)
            made.chmod(inode.mode)
            if inode.modify_ns is not None:
                os.utime(made, ns=(inode.modify_ns, inode.modify_ns))
        places = {node: directory / path for path, node in self._named_nodes()}
        for node, made in places.items():
            partial = self._inodes[node].partial
            if partial is not None:
                journals.put_right(made, places.get(partial))


def _lengthen(content: bytearray, length: int) -> None:
    if len(content) < length:
        content.extend(bytes(length - len(content)))


def changes_of(
    before: Disk, operations: Sequence[Operation], world: Path, *, matters: Callable[[str], bool]
) -> tuple[list[Change], Disk]:
    """What the operations changed in order of their ends, with the line from which on each is durable; and the disk at the end.

    `matters` tells of which paths, relative to `world`.
    """
    disk = before.copy()
    found: list[Change] = []
    syncs: dict[Node, list[Operation]] = {}
    prefix = len(f"{world}/")
    for operation in operations:
        path, new_path = operation.path[prefix:], operation.new_path[prefix:]
        if operation.kind is Kind.SEND or not matters(path):
            continue
        if operation.kind in {Kind.SYNC, Kind.DATA_SYNC, Kind.FAILED_SYNC}:
            node = disk.find(path)
            if node is not None:
                syncs.setdefault(node, []).append(operation)
            continue
        change = disk.take(operation, path, new_path)
        if change is not None:
            found.append(change)
    return [_settled(change, syncs.get(change.node, ())) for change in found], disk


def _settled(change: Change, syncs: Collection[Operation]) -> Change:
    needs_all = change.operation.kind is Kind.DRESS
    later = [one for one in syncs if one.begin > change.end]
    failed = min((one.begin for one in later if one.kind is Kind.FAILED_SYNC), default=NEVER)
    ends = [
        one.end
        for one in later
        if one.kind is Kind.SYNC or (one.kind is Kind.DATA_SYNC and not needs_all)
        if one.end < failed  # the kernel may call pages clean that it could not write
    ]
    return Change(
        operation=change.operation,
        node=change.node,
        names=change.names,
        offset=change.offset,
        durable=min(ends, default=NEVER),
    )
