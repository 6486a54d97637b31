"""Files that a person names: paths, directories, globs and lists become items one by one, while they are read.

Looks at the file system of this machine; sends nothing. A name that cannot be moved is an item, too, and stops no other.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import glob, has_magic

from penstock.cli.items import FILE_SYSTEM, Item, Items, Unfit
from penstock.cli.tally import LEFT_OUT
from penstock.client.bulk import is_text
from penstock.client.finding import as_directory
from penstock.errors import SettingsError

OURS = ".penstock-"
NOT_TEXT = "its name is not UTF-8, and the API takes no other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The file system as it is mounted here: `root` is its directory, "" where it is not mounted on this machine.

    With `base`, a directory of this machine, what is named keeps its path beneath it.
    """

    root: str
    base: str = ""
    exclude: tuple[str, ...] = ()

    def inner(self, path: str) -> str:
        """A path of this machine as the file system has it. Raises SettingsError for what lies elsewhere."""
        if not self.root:
            raise SettingsError(
                f"{path} lies beneath no registered file system that this machine knows; say where it is mounted with "
                f"--root DIR, or name files as the file system has them, with {FILE_SYSTEM} in front ({FILE_SYSTEM}/train/a.bin)"
            )
        real = os.path.realpath(path)
        if not is_text(real):
            raise SettingsError(NOT_TEXT)
        if real != self.root and not real.startswith(self.root.rstrip("/") + "/"):
            raise SettingsError(
                f"{real} does not lie beneath {self.root}, the file system that is meant: move it there, or register its "
                "directory where the service runs, with: penstock filesystem add HOME DIRECTORY"
            )
        return "/" + real[len(self.root.rstrip("/")) + 1 :]

    def excludes(self, name: str) -> bool:
        """Whether a pattern leaves this name out: the whole of it, or its last part."""
        return any(fnmatch(name, pattern) or fnmatch(os.path.basename(name), pattern) for pattern in self.exclude)


def files_named(names: Iterable[str], tree: Tree) -> Items:
    """Files and directories of this machine, globs, and paths of the file system (`fs:/…`)."""
    for name in names:
        try:
            yield from _file(name, tree)
        except SettingsError as error:
            yield Unfit(name=name, why=str(error))
        except OSError as error:
            yield Unfit(name=name, why=error.strerror or str(error))


def _file(name: str, tree: Tree) -> Items:
    if not is_text(name) and name.startswith(FILE_SYSTEM):
        yield Unfit(name=name, why=NOT_TEXT)
    elif name.startswith(FILE_SYSTEM):
        directory, _, last = name.removeprefix(FILE_SYSTEM).rpartition("/")
        yield (
            Item(base=as_directory(directory), name=last)
            if last
            else Unfit(name=name, why="only files can be named so: what lies in a directory is not known here")
        )
    elif has_magic(name) and not os.path.lexists(name):
        found = sorted(glob(name, recursive=True))
        fixed = os.path.dirname(name[: magic_at(name)]) or "."
        if not found:
            yield Unfit(name=name, why="nothing has such a name")
        for each in found:
            if not os.path.isdir(each):
                yield from _beneath(each, tree.base or fixed, tree)
    elif os.path.isdir(name):
        yield from _walked(name, tree.base or name, tree)
    else:
        yield from _beneath(name, tree.base or os.path.dirname(name) or ".", tree)


def magic_at(pattern: str) -> int:
    """Where a glob's first magic letter stands."""
    return min(place for place in map(pattern.find, "*?[") if place >= 0)


def files_listed(names: Iterable[str], tree: Tree) -> Items:
    """Files of a list, relative to the base (where none is given, to where we are)."""
    base = tree.base or "."
    for name in names:
        if name.startswith(FILE_SYSTEM):
            yield from files_named([name], tree)
            continue
        try:
            yield from _beneath(name, base, tree)
        except (SettingsError, ValueError) as error:  # a NUL in a list of lines is a ValueError
            yield Unfit(name=name, why=str(error))
        except OSError as error:
            yield Unfit(name=name, why=error.strerror or str(error))


def _beneath(path: str, base: str, tree: Tree) -> Items:
    """One file, by the path it has beneath `base`. Its last part is not followed where it is a link: the service decides."""
    about = os.lstat(path)
    if stat.S_ISDIR(about.st_mode):
        yield Unfit(name=path, why="it is a directory, and a list names files")
        return
    inner = tree.inner(os.path.dirname(path) or ".").rstrip("/") + "/" + os.path.basename(path)
    within = as_directory(tree.inner(base))
    if not inner.startswith(within):
        yield Unfit(
            name=path, why=f"it does not lie beneath {base}; say beneath what its path is to be kept, with --base DIR"
        )
    else:
        yield _sound(inner, within, about.st_size)


def _walked(directory: str, base: str, tree: Tree) -> Items:
    """What lies in a directory and beneath it, by name; links to directories are not followed."""
    within = as_directory(tree.inner(base))
    top = as_directory(tree.inner(directory))
    if not top.startswith(within):
        yield Unfit(name=directory, why=f"it does not lie beneath {base}")
        return
    waiting = [(directory, top)]
    while waiting:
        here, inner = waiting.pop()
        try:
            with os.scandir(here) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Unfit(name=here, why=error.strerror or str(error))
            continue
        deeper: list[tuple[str, str]] = []
        for entry in found:
            path = f"{inner}{entry.name}"
            if entry.name.startswith(OURS) or tree.excludes(path[len(within) :]):
                continue
            if entry.is_dir(follow_symlinks=False):
                deeper.append((entry.path, f"{path}/"))
            else:
                yield from _entry(entry, path, within)
        waiting += reversed(deeper)


def _entry(entry: os.DirEntry[str], path: str, within: str) -> Items:
    if not entry.is_file(follow_symlinks=False):
        yield Unfit(name=entry.path, why="it is a link or no regular file", status=LEFT_OUT)
        return
    try:
        yield _sound(path, within, entry.stat(follow_symlinks=False).st_size)
    except FileNotFoundError:
        return  # it was removed meanwhile


def _sound(path: str, within: str, size_bytes: int) -> Item | Unfit:
    if not is_text(path):
        return Unfit(name=path, why=NOT_TEXT)
    return Item(base=within, name=path[len(within) :], size_bytes=size_bytes)
