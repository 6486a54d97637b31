"""Looks at the source of a batch, bit by bit: objects, directories, entries, lines of file lists. Blocks; called in a thread.

Calls the looks of `transfer` and knows what comes after what; keeps nothing between two looks but where they lead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple, TypeVar

from penstock.engine.feeding import Entry
from penstock.engine.pieces import START, Piece, Seek
from penstock.errors import FailureCode, StoreError, TransferError
from penstock.model import Direction, FileSystem
from penstock.stores.base import Store
from penstock.transfer import filelist, keys, tree
from penstock.transfer.aside import ASIDE
from penstock.transfer.filelist import Place
from penstock.transfer.listed import Kind, Listed, Look, Trouble, is_reserved
from penstock.transfer.refusals import from_store
from penstock.transfer.root import may_hang

OBJECTS_MAX = 1000
"""Objects of one look: as many as a store lists at once."""

NAMES_MAX = 32_768
"""Entries of one look at a directory tree, which a process of its own makes; the first look finds fewer, and nobody is sent."""


class Found(NamedTuple):
    """What a look has found, and where the next one goes on; None: there is no more."""

    entries: Sequence[Entry]
    behind: Seek | None


class Source(NamedTuple):
    """What is looked at: the dataflow's side of it, and the pieces or (their directory) the file lists."""

    direction: Direction
    file_system: FileSystem
    open_bucket: Callable[[], Store]
    root: str  # of the dataflow's side: no `/` in front, one behind unless it is all
    pieces: Sequence[Piece]
    file_lists: str
    is_named: bool  # by entries of any kind: one of them that is not there holds up none of the others
    limit_s: float


def look(source: Source, seek: Seek) -> Found:
    """What comes next at `seek`. Raises TransferError."""
    if source.direction is Direction.EXPORT and not source.file_lists:
        return _in_pieces(source, None, seek)
    try:
        with closing(source.open_bucket()) as store:
            found = _in_lists(source, store, seek) if source.file_lists else _in_pieces(source, store, seek)
    except StoreError as error:
        raise from_store(error) from error
    if seek == START and not source.file_lists and not found.entries and found.behind is None:
        raise _no_object(source, source.pieces[0].path)
    return found


def require_target(file_system: FileSystem, path: str, limit_s: float) -> None:
    """The directory that a batch imports into has to be there. Raises TransferError."""
    trouble = asked(file_system, limit_s, tree.require_directory, path)
    if isinstance(trouble, Trouble):
        hint = "; make it, or set CreateDirIfNotExist" if trouble.code is FailureCode.BASE_NOT_FOUND else ""
        raise TransferError(trouble.code, f"{trouble.message}{hint}", waiting_helps=trouble.waiting_helps)


# -------------------------------------------------------------------------------------------------------------- pieces


def _in_pieces(source: Source, store: Store | None, seek: Seek) -> Found:
    files: list[Entry] = []
    for number in range(seek.piece, len(source.pieces)):
        piece = source.pieces[number]
        if piece.is_tree:
            return Found(files, Seek(piece=number)) if files else _in_tree(source, store, seek, number)
        files.append(Entry(Listed(piece.path, Kind.FILE), Seek(piece=number + 1)))
        if len(files) >= OBJECTS_MAX:
            return Found(files, Seek(piece=number + 1))
    return Found(files, None)


def _in_tree(source: Source, store: Store | None, seek: Seek, number: int) -> Found:
    after = seek.after if seek.piece == number else ""
    path = source.pieces[number].path
    behind = Seek(piece=number + 1)
    following = behind if behind.piece < len(source.pieces) else None
    found = _beneath_or_not(source, store, path, after, behind)
    if isinstance(found, Entry):
        return Found([found], following)
    entries = [Entry(one._replace(path=path + one.path), Seek(piece=number, after=one.path)) for one in found.found]
    if found.after is not None:
        return Found(entries, Seek(piece=number, after=found.after))
    return Found(entries, following)


def _beneath_or_not(source: Source, store: Store | None, path: str, after: str, behind: Seek) -> Look | Entry:
    """What is there, or the directory itself where it was named and nothing is. Raises StoreError, TransferError."""
    try:
        found = _beneath(source, store, path, after)
    except TransferError as error:
        if error.waiting_helps or not source.is_named:
            raise
        return Entry(Listed(path, Kind.EMPTY), behind, f"{error.code}: {error}")
    if after or found.found or found.after is not None or not source.is_named:
        return found
    if source.direction is Direction.EXPORT:
        return Entry(Listed(path, Kind.EMPTY), behind)
    missing = _no_object(source, path)
    return Entry(Listed(path, Kind.EMPTY), behind, f"{missing.code}: {missing}")


def _no_object(source: Source, path: str) -> TransferError:
    return TransferError(FailureCode.SOURCE_NOT_FOUND, f"no object's key begins with {source.root + path!r}")


def _beneath(source: Source, store: Store | None, path: str, after: str) -> Look:
    """Raises StoreError, TransferError."""
    if source.direction is Direction.IMPORT and store is not None:
        return keys.look(store, source.root + path, after, OBJECTS_MAX)
    # A large tree is hours of looking: not beside the loop, which needs the same interpreter.
    ask, limit = (asked_aside, NAMES_MAX) if after else (asked, OBJECTS_MAX)
    found = ask(source.file_system, source.limit_s, tree.look, source.root + path, after, limit)
    if isinstance(found, Trouble):
        raise TransferError(found.code, found.message, waiting_helps=found.waiting_helps)
    return found


_Answer = TypeVar("_Answer")


def asked(file_system: FileSystem, limit_s: float, question: Callable[..., _Answer], *given: object) -> _Answer:
    """A file system that may hang is asked by a process that can be left alone. Raises TransferError."""
    if not may_hang(file_system):
        return question(file_system, *given)
    return asked_aside(file_system, limit_s, question, *given)


def asked_aside(file_system: FileSystem, limit_s: float, question: Callable[..., _Answer], *given: object) -> _Answer:
    """The same by such a process in any case: what takes long is not beside the loop then. Raises TransferError."""
    try:
        return ASIDE.ask(question, file_system, *given, limit_s=limit_s)
    except TimeoutError as error:
        words = f"the file system does not answer: {error}"
        raise TransferError(FailureCode.FILE_SYSTEM_UNAVAILABLE, words, waiting_helps=True) from error


# --------------------------------------------------------------------------------------------------------------- lists


def _in_lists(source: Source, store: Store, seek: Seek) -> Found:
    if seek.tree:
        return _in_named_tree(source, store, seek)
    place = seek.place if seek.place.key else filelist.first(store, source.file_lists, "")
    if place is None:
        words = f"the bucket has no file list {source.file_lists}*.csv; TransferFileListPath starts at the bucket's top"
        raise TransferError(FailureCode.SOURCE_NOT_FOUND, words)
    lines = filelist.lines(store, place)
    entries: list[Entry] = []
    for line in lines:
        if line.is_tree:
            return Found(entries, entries[-1].behind if entries else Seek(place=line.behind, tree=line.name))
        if not is_reserved(line.name):
            entries.append(Entry(Listed(line.name, Kind.FILE), Seek(place=line.behind)))
    if lines:
        return Found(entries, Seek(place=lines[-1].behind))
    return Found((), _next_list(source, store, place))


def _in_named_tree(source: Source, store: Store, seek: Seek) -> Found:
    if {".", "..", ""} & set(seek.tree.rstrip("/").split("/")):
        words = f"the file list {seek.place.key} names {seek.tree[:80]!r}, which is no plain path"
        raise TransferError(FailureCode.OUTSIDE_FILE_SYSTEM, words)
    found = _beneath_or_not(source, store, seek.tree, seek.after, Seek(place=seek.place))
    if isinstance(found, Entry):
        return Found([found], Seek(place=seek.place))
    entries = [Entry(one._replace(path=seek.tree + one.path), seek._replace(after=one.path)) for one in found.found]
    if found.after is not None:
        return Found(entries, seek._replace(after=found.after))
    return Found(entries, Seek(place=seek.place))


def _next_list(source: Source, store: Store, place: Place) -> Seek | None:
    following = filelist.first(store, source.file_lists, place.key)
    return Seek(place=following) if following is not None else None
