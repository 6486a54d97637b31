"""What a `penstock init` that was broken off has left in HOME: known by its names, and by a file that says so.

`making` writes that file first and takes it away last, or `penstock serve` does where `init` has died just before. Nothing is
removed here that `init` does not make.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from penstock.settings.files import sync_directory
from penstock.settings.home import Home
from penstock.transfer.mark import MARK_FILE

_UNFINISHED = "init.unfinished"
_TEXT = "A `penstock init` was broken off here. What lies beside this file is its work, and goes with the next one.\n"
_DIRECTORIES = frozenset({"emulator", "filesystem", "tls"})
_FILES = re.compile(
    rf"{re.escape(_UNFINISHED)}|\.(secrets|penstock)\.toml\.\d+\.new|emulator/index\.sqlite3(-journal|-wal|-shm)?"
    rf"|filesystem/{re.escape(MARK_FILE)}(\.partial)?|tls/(ca\.pem|server\.pem|server\.key)"
)
"""All that `init` makes before secrets.toml. Served buckets have more in emulator/, and a service or an edit more beside it."""


def begin(home: Home) -> None:
    """Say that what will lie beside it is not finished."""
    (home.path / _UNFINISHED).write_text(_TEXT)


def end(home: Home) -> None:
    """HOME is made. Durable, if there was anything that said otherwise."""
    with contextlib.suppress(FileNotFoundError):
        (home.path / _UNFINISHED).unlink()
        sync_directory(home.path)


def is_here(home: Home) -> bool:
    """Whether an `init` was broken off."""
    return (home.path / _UNFINISHED).is_file()


def of_others(home: Home) -> list[str]:
    """What lies there and may not be the work of an `init` that was broken off, by name.

    secrets.toml is such: only for an instant is it there without penstock.toml, unless that one was taken away from a HOME that
    had been finished.
    """
    return [name for name, is_directory in _contents(home.path) if not _is_made(name, is_directory=is_directory)]


def remove(home: Home) -> None:
    """Remove all that `init` makes, from a HOME in which one found nothing; what says so goes last. What else came stays."""
    home.settings_file.unlink(missing_ok=True)  # first: with it HOME would be taken for made
    home.secrets_file.unlink(missing_ok=True)
    found = [(name, is_directory) for name, is_directory in _contents(home.path) if name != _UNFINISHED]
    for name, is_directory in reversed(found):  # what is in a directory before the directory
        if not _is_made(name, is_directory=is_directory):
            continue
        with contextlib.suppress(OSError):  # somebody's file is in that directory
            (os.rmdir if is_directory else os.unlink)(home.path / name)
    end(home)


def _is_made(name: str, *, is_directory: bool) -> bool:
    return name in _DIRECTORIES if is_directory else _FILES.fullmatch(name) is not None


def _contents(above: Path, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Names relative to HOME, and whether each is a directory; of what lies in one that `init` does not make only that one's."""
    with os.scandir(above) as entries:
        found = sorted((prefix + entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_directory in found:
        yield name, is_directory
        if is_directory and name in _DIRECTORIES:
            yield from _contents(above / name, f"{name}/")
