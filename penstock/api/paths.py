"""Paths in requests: what may stand in one, and where a sub-task's path points (rulings SUB-PATH-*, PATH-*).

String work only. That a path stays beneath the file system's root is the kernel's to say, when it is opened.
"""

from __future__ import annotations

import re

from penstock.api.errors import ApiError, illegal_characters, invalid_format
from penstock.api.options import PathBase
from penstock.transfer.transfer import RESERVED_PREFIX

PATH_MAX_CHARACTERS = 1023
KEY_MAX_BYTES = 1023
NAME_MAX_BYTES = 255

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character: JSON can escape one alone, and no name can hold it, as UTF-8 has none."""
_SOUND = re.compile("(?:/(?!\\.{1,2}(?:/|\\Z))[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+)+/?")
_RESERVED = f"/{RESERVED_PREFIX}"


def check_file_path(name: str, text: str) -> str:
    """A path that ends with a file's name. Raises ApiError."""
    _check(name, text)
    if text.endswith("/"):
        raise invalid_format(name, "it ends with a file's name, not with `/`")
    return text


def check_directory(name: str, text: str) -> str:
    """A path that starts and ends with `/`; `/` alone is one. Raises ApiError."""
    if text == "/":
        return text
    _check(name, text)
    if not text.endswith("/"):
        raise invalid_format(name, "it starts and ends with `/`")
    return text


class Ground:
    """One side of a stream: the dataflow's `root` and the task's `directory` there (both end with `/`)."""

    __slots__ = ("_directory", "_in_data_flow", "_in_task")

    def __init__(self, *, root: str, directory: str, base: PathBase) -> None:
        self._directory = "" if base is PathBase.TASK or directory == "/" else directory
        self._in_data_flow = root[:-1]
        self._in_task = f"{root[:-1]}{directory[:-1]}"

    def read(self, path: str) -> tuple[str, str]:
        """The full path that `path` means, and that of the other way to read it: "" when there is one meaning only."""
        if self._directory and path.startswith(self._directory):
            return self._in_data_flow + path, self._in_task + path
        return self._in_task + path, ""


def check_key(name: str, path: str) -> None:
    """The object that a full path names must be able to exist. Raises ApiError."""
    if len(path.encode()) - 1 > KEY_MAX_BYTES:
        raise invalid_format(name, f"its object's key is longer than {KEY_MAX_BYTES} bytes")


def check_file_name(name: str, path: str) -> None:
    """The file that a full path names must be able to exist. Raises ApiError."""
    if len(path) > PATH_MAX_CHARACTERS:
        raise invalid_format(name, f"the file's full path is longer than {PATH_MAX_CHARACTERS} characters")
    if len(path) > NAME_MAX_BYTES // 4 and any(len(part.encode()) > NAME_MAX_BYTES for part in path.split("/")):
        raise invalid_format(name, f"a name in the file's path is longer than {NAME_MAX_BYTES} bytes")


def _check(name: str, text: str) -> None:
    if len(text) > PATH_MAX_CHARACTERS:
        raise invalid_format(name, f"it has 1 to {PATH_MAX_CHARACTERS} characters")
    if _SOUND.fullmatch(text) is None:
        raise _complaint(name, text)
    if _RESERVED in text:
        raise invalid_format(name, f"names that begin with {RESERVED_PREFIX} are kept for unfinished files")


def _complaint(name: str, text: str) -> ApiError:
    if CONTROL.search(text):
        return illegal_characters(name, "control characters")
    if _HALF.search(text):
        return illegal_characters(name, "a character that UTF-8 does not have")
    if {".", ".."} & set(text.split("/")):
        return illegal_characters(name, "`.` and `..` are no names")
    if "//" in text:
        return illegal_characters(name, "`//`")
    if not text.startswith("/"):
        return invalid_format(name, "it starts with `/`")
    return invalid_format(name, "it ends with a file's name, not with `/`")
