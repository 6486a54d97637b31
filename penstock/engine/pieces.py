"""What a batch was asked to move, as pieces in an order that stays, and how far they were listed. Pure.

Paths are relative to the source side of the dataflow and have no `/` in front.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from penstock.catalog.batchwork import Batch, Selection
from penstock.model import Direction, TaskAction
from penstock.transfer.filelist import Place


class Piece(NamedTuple):
    """A file, or all that lies beneath a directory (whose path ends with `/`; "" is all there is)."""

    path: str
    is_tree: bool


class Seek(NamedTuple):
    """Where listing goes on: at a piece, or in a file list at a line, or in the directory `tree` that its last line named;
    behind `after` in a directory."""

    piece: int = 0
    after: str = ""
    place: Place = Place()
    tree: str = ""

    @property
    def text(self) -> str:
        """As the catalog keeps it."""
        return json.dumps([self.piece, self.after, list(self.place), self.tree])


START = Seek()


def seek_of(text: str) -> Seek:
    """What the catalog has kept; the start where that is nothing."""
    if not text:
        return START
    piece, after, place, tree = json.loads(text)
    return Seek(piece=piece, after=after, place=Place(*place), tree=tree)


def pieces_of(batch: Batch, selection: Selection) -> Sequence[Piece]:
    """All of them, none twice or within another; none where file lists name them."""
    if selection.file_list_path:
        return ()
    directory = batch.directory.removeprefix("/")
    if selection.entry_list:
        entries: Iterable[str] = (entry.removeprefix("/") for entry in json.loads(selection.entry_list))
    elif selection.includes:
        entries = (f"{directory}{one.removeprefix('/')}" for one in json.loads(selection.includes))
    else:
        entries = (directory,)
    return _apart(dict.fromkeys(entries))


def _apart(entries: Iterable[str]) -> Sequence[Piece]:
    """In their order, without what lies beneath another one."""
    kept = list(entries)
    trees = {entry for entry in kept if _is_tree(entry)}
    return [Piece(entry, _is_tree(entry)) for entry in kept if not any(above in trees for above in _above(entry))]


def _is_tree(entry: str) -> bool:
    return not entry or entry.endswith("/")


def _above(entry: str) -> Iterable[str]:
    """The directories that hold it, as entries would name them."""
    if entry:
        yield ""
    names = entry.rstrip("/").split("/")
    for count in range(1, len(names)):
        yield "/".join(names[:count]) + "/"


def direction_of(batch: Batch) -> Direction:
    """Which way its files go."""
    return Direction.IMPORT if batch.action is TaskAction.IMPORT else Direction.EXPORT
