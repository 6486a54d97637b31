"""Names: which paths and keys are refused before anything is touched, and what our own helper files are called. Pure."""

from __future__ import annotations

import hashlib
import re

from penstock.errors import FailureCode, TransferError
from penstock.transfer.transfer import RESERVED_PREFIX

NAME_MAX_BYTES = 255
"""Longest component that Linux file systems hold."""

PATH_MAX_BYTES = 4095
# Most paths are nothing but these, and looking at each component costs five times as much. A dot in front may be reserved.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,254}+/)*+[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,254}+").fullmatch


def partial_name(sub_task_id: str) -> bytes:
    """The unfinished file's name beside its target; short, because 255 bytes is the limit of a name."""
    return f"{RESERVED_PREFIX}{_digest(sub_task_id)}.partial".encode()


def journal_name(sub_task_id: str) -> bytes:
    """The name of its journal."""
    return f"{RESERVED_PREFIX}{_digest(sub_task_id)}.journal".encode()


def helper_files(sub_task_id: str) -> str:
    """Both of these, for people."""
    return f"{partial_name(sub_task_id).decode()} and {journal_name(sub_task_id).decode()}"


def kept_name(sub_task_id: str, number: int) -> bytes:
    """The name for somebody's file that lay in the place of one of these; none of ours, so that it is listed as any other.

    `number` tells several apart, from 0 on.
    """
    return f"kept-by-penstock-{_digest(sub_task_id)}{f'-{number + 1}' if number else ''}".encode()


def split(path: str) -> tuple[bytes, bytes]:
    """A checked path as (parent, name), in the file system's bytes; the parent of a top-level name is `.`."""
    parent, _, name = path.rpartition("/")
    return (to_bytes(parent) or b"."), to_bytes(name)


def to_bytes(path: str) -> bytes:
    """A path as the kernel takes it."""
    return path.encode("utf-8", "surrogateescape")


def check_path(path: str, *, directory_code: FailureCode) -> None:
    """Refuse a path that cannot name a file below the root.

    `directory_code` is the word for a path that ends with `/`. Raises TransferError (ReservedName, NameTooLong,
    OutsideFileSystem, `directory_code`).
    """
    if len(path) <= PATH_MAX_BYTES and _PLAIN(path):
        return
    if not path or path.endswith("/"):
        raise TransferError(directory_code, f"{path!r} names a directory, not a file")
    _check_reserved(path)
    for component in path.split("/"):
        if component in {"", ".", ".."} or "\0" in component:
            raise TransferError(FailureCode.OUTSIDE_FILE_SYSTEM, f"{path!r} is not a plain path below the root")
        if len(to_bytes(component)) > NAME_MAX_BYTES:
            raise TransferError(
                FailureCode.NAME_TOO_LONG,
                f"a component of {path!r} has more than {NAME_MAX_BYTES} bytes; no file system here can hold it",
            )
    if len(to_bytes(path)) > PATH_MAX_BYTES:
        raise TransferError(FailureCode.NAME_TOO_LONG, f"{path[:80]!r}… has more than {PATH_MAX_BYTES} bytes")


def check_key(key: str, *, length_max_bytes: int) -> None:
    """Refuse a key that no object of ours may have. Raises TransferError (ReservedName, NameTooLong, SourceIsDirectory)."""
    _check_reserved(key)
    if not key:
        raise TransferError(FailureCode.STORE_REFUSED, "the object's key is empty")
    if (len(key) if key.isascii() else len(to_bytes(key))) > length_max_bytes:
        raise TransferError(
            FailureCode.NAME_TOO_LONG, f"the key {key[:80]!r}… has more than {length_max_bytes} bytes (UTF-8)"
        )


def _check_reserved(name: str) -> None:
    if RESERVED_PREFIX in name and any(part.startswith(RESERVED_PREFIX) for part in name.split("/")):
        raise TransferError(
            FailureCode.RESERVED_NAME,
            f"{name!r} has a component that begins with {RESERVED_PREFIX!r}: kept for Penstock",
        )


def _digest(sub_task_id: str) -> str:
    return hashlib.sha256(sub_task_id.encode("utf-8", "surrogateescape")).hexdigest()[:16]
