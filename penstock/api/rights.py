"""What an access key may do: patterns of `nas:<Action>` and of file system ids. Says nothing of what exists."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from penstock.api.errors import ApiError
from penstock.model import AccessKey


def check(key: AccessKey, action: str, file_system_id: str) -> None:
    """Raises ApiError Forbidden.RAM, in the same words whether the file system exists or not ("" names none)."""
    if not _allowed(key.allow, action) or (file_system_id and not _seen(key.file_systems, file_system_id)):
        raise ApiError("Forbidden.RAM", f"This access key has no right to nas:{action} here.")


def sees(key: AccessKey, file_system_id: str) -> bool:
    """Whether the key's scope holds this file system."""
    return _seen(key.file_systems, file_system_id)


def sees_all(key: AccessKey) -> bool:
    """Whether the key's scope is every file system."""
    return "*" in key.file_systems


@lru_cache(maxsize=1024)
def _seen(patterns: tuple[str, ...], file_system_id: str) -> bool:
    return any(fnmatchcase(file_system_id, pattern) for pattern in patterns)


@lru_cache(maxsize=1024)
def _allowed(patterns: tuple[str, ...], action: str) -> bool:
    """Actions are compared without regard to case, as the vendor's policies do. They are few, so the answers can be kept."""
    right = f"nas:{action}".lower()
    return any(fnmatchcase(right, pattern.lower()) for pattern in patterns)
