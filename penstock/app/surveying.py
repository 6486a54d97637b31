"""What a root's file system can do, in sentences: tried out when it is registered, for a person to read.

Calls `transfer.probing`. Nothing of it is kept: movers find out by themselves, and each sub-task says which guarantee held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from penstock.errors import TransferError
from penstock.model import FileSystem
from penstock.transfer.names import NAME_MAX_BYTES
from penstock.transfer.probing import RootAbilities, probe_root
from penstock.transfer.root import Root

_WORDS: Mapping[str, str] = {
    "rename_no_replace": "rename without replacing",
    "hard_links": "hard links",
    "directory_fsync": "fsync of directories",
    "file_locks": "file locks",
    "fallocate": "reserving space",
    "direct_io": "direct I/O",
    "fine_stamps": "time stamps finer than a second",
    "statx": "statx",
    "openat2": "openat2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Abilities by name, and a sentence for each that is missed; `untried`: why nothing could be tried out."""

    can: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    untried: str = ""


def survey(file_system: FileSystem) -> Survey:
    """Try out the file system at this root. Raises nothing: what cannot be told now keeps nobody from registering it."""
    try:
        root = Root.open(file_system)
        try:
            found = probe_root(root)
        finally:
            root.close()
    except OSError as error:
        return Survey(untried=error.strerror or str(error))
    except TransferError as error:
        return Survey(untried=str(error))
    can = tuple(words for name, words in _WORDS.items() if getattr(found, name))
    return Survey(can=can, lacks=tuple(_lacks(found)))


def _lacks(found: RootAbilities) -> Iterator[str]:
    """What follows for files that move; an ability that another one stands in for is not missed."""
    if not (found.rename_no_replace or found.hard_links):
        yield (
            "no rename without replacing, and no hard links: a file that somebody else puts where an import is just being "
            "published may be replaced, whatever the conflict policy; such sub-tasks are `best effort`"
        )
    if not found.directory_fsync:
        yield "no fsync of directories: whether an imported file's name survives a power cut is up to the file system"
    if not found.file_locks:
        yield (
            "no file locks (Lustre: mount with -o flock): two attempts at one file, and two at one KEEP_LATEST target, are "
            "not kept apart on the file system"
        )
    if not found.statx:
        yield "no statx: on a network file system, a change of a source may be seen as late as its client's cache tells it"
    if not found.fallocate:
        yield "space cannot be reserved: an import that does not fit says NoSpace once the file system is full, not before"
    if not found.direct_io:
        yield "no direct I/O is told: large imports go through the page cache, a few MiB at a time, and take more CPU time"
    if not found.fine_stamps:
        yield (
            "time stamps of whole seconds: a file that was written to within the last second (on FAT: two) is read twice "
            "before it is exported, or waited for if it is large; KEEP_LATEST compares seconds"
        )
    if found.name_max_bytes < NAME_MAX_BYTES:
        yield f"names have at most {found.name_max_bytes} bytes: longer ones cannot be imported"
