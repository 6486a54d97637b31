"""What the kernel tells of a tree of directories: files that were completely written, directories that came and went.

Wraps inotify; a directory that comes later is watched, too. Where the kernel tells nothing (no watch left, another machine's
writes), whoever asks walks the tree himself (`walk`). Reads no file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self

from inotify_simple import INotify, flags

WANTED = (
    flags.CLOSE_WRITE
    | flags.MOVED_TO
    | flags.MOVED_FROM
    | flags.CREATE
    | flags.DELETE_SELF
    | flags.ONLYDIR
    | flags.DONT_FOLLOW
    | flags.EXCL_UNLINK
)
DIRECTORY_CAME = flags.CREATE | flags.MOVED_TO
AT_ONCE_MAX = 10_000
"""So many names of directories that came are kept at once: more are left to a walk."""
LIMIT_WORDS = (
    "the kernel watches no more directories for this user (fs.inotify.max_user_watches, max_user_instances); "
    "what happens beneath {} is found by the scans alone"
)


class Notices:
    """Those of the tree beneath `top`. Names are relative to it. `overflowed` tells that some were lost: walk the tree.

    `say` is told once where the kernel takes no more watches.
    """

    def __init__(self, top: str, *, skips: Callable[[str], bool], say: Callable[[str], None]) -> None:
        self._top = top
        self._skips = skips
        self._say = say
        self._inotify: INotify | None = None
        self._names: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._is_limited = False
        self.overflowed = False
        self.missed = False

    def __enter__(self) -> Self:
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            self._limited("", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inotify is not None:
            self._inotify.close()

    def fileno(self) -> int:
        """To wait on; -1 where the kernel tells nothing."""
        return -1 if self._inotify is None else self._inotify.fileno()

    def read(self) -> list[str]:
        """Names of files that were written, renamed or linked since; directories that came are walked for them.

        Sets `overflowed` where notices were lost.
        """
        found: list[str] = []
        if self._inotify is None:
            return found
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                self.overflowed = True
            elif event.mask & (flags.IGNORED | flags.DELETE_SELF):
                self._forget(event.wd)
            elif event.wd in self._names:
                name = os.path.join(self._names[event.wd], event.name)
                if not event.mask & flags.ISDIR:
                    if event.mask & (flags.CLOSE_WRITE | flags.MOVED_TO) or self._is_linked(name):
                        found.append(name)
                elif event.mask & DIRECTORY_CAME:
                    found += islice(self.walk(name), AT_ONCE_MAX)
                    self.overflowed = self.overflowed or len(found) >= AT_ONCE_MAX
                elif event.mask & flags.MOVED_FROM:
                    self._leave(name)
        return [name for name in found if not self._skips(name)]

    def walk(self, beneath: str = "") -> Iterator[str]:
        """The names of all files beneath a directory, each directory watched before it is read. Lazy; links are not followed.

        Sets `missed` where a directory could not be read. Raises OSError where `beneath` cannot.
        """
        waiting = [beneath]
        while waiting:
            here = waiting.pop()
            self._watch(here)
            try:
                with os.scandir(os.path.join(self._top, here)) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                if here == beneath:
                    raise
                self.missed = self.missed or error.errno not in {errno.ENOENT, errno.ENOTDIR}
                continue
            deeper: list[str] = []
            for entry in found:
                name = os.path.join(here, entry.name)
                if self._skips(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(name)
                elif entry.is_file(follow_symlinks=False):
                    yield name
            waiting += reversed(deeper)

    def _watch(self, name: str) -> None:
        if self._inotify is None:
            return
        try:
            watch = self._inotify.add_watch(os.path.join(self._top, name), WANTED)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.ENOMEM}:
                self._limited(name, error)
            return
        self._names[watch] = name
        self._watches[name] = watch

    def _limited(self, name: str, error: OSError) -> None:
        if not self._is_limited:
            self._is_limited = True
            self._say(LIMIT_WORDS.format(os.path.join(self._top, name)) + f" ({error.strerror})")

    def _leave(self, name: str) -> None:
        """A directory was moved away, with all that is beneath it: its watches would tell names that are no more."""
        assert self._inotify is not None
        for inner in [each for each in self._watches if each == name or each.startswith(f"{name}/")]:
            watch = self._watches.pop(inner)
            self._names.pop(watch, None)
            try:
                self._inotify.rm_watch(watch)
            except OSError:
                continue  # the kernel has removed it by itself

    def _forget(self, watch: int) -> None:
        name = self._names.pop(watch, None)
        if name is not None and self._watches.get(name) == watch:
            del self._watches[name]

    def _is_linked(self, name: str) -> bool:
        """Whether what was created is another name of a file: nobody closes it after writing then."""
        try:
            return os.lstat(os.path.join(self._top, name)).st_nlink > 1
        except OSError:
            return False
