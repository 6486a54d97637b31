"""Owner and permissions as they travel in object metadata, where that was chosen: reading, writing, comparing. Pure.

Only the nine permission bits travel. Set-user-id, set-group-id and sticky are never taken from an object: whoever may write to
a bucket must not be able to make a program that runs as somebody else.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from penstock.stores.base import ObjectInfo
from penstock.transfer.posix import FileState
from penstock.transfer.transfer import OwnerAndMode, TransferChoices

OWNER_NAME = "penstock-uid"
GROUP_NAME = "penstock-gid"
MODE_NAME = "penstock-mode"

OWNER_NOT_KEPT = "owner not kept: the service may not give files away"
"""The note of a file that has the service's owner though another one was asked for."""

_PERMISSIONS = 0o777
_ID_MAX = 2**32 - 2  # the number above means "as it is" to the kernel
_ID = re.compile(r"[0-9]{1,10}")
_MODE = re.compile(r"[0-7]{1,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What an imported file is to have; None: what the service's own files have. `owner` and `group` come together."""

    owner: int | None = None
    group: int | None = None
    mode: int | None = None

    def is_given_to(self, state: FileState) -> bool:
        """Whether the file belongs to whom it should, as far as that was asked."""
        return self.owner is None or (state.owner, state.group) == (self.owner, self.group)


AS_SERVICE = Ownership()


def metadata_of(state: FileState, choices: TransferChoices) -> Mapping[str, str]:
    """What to write with an object made of that file. A link has no permissions that would mean anything to a file."""
    if choices.owner_and_mode is OwnerAndMode.LEAVE or state.is_symlink:
        return {}
    mode = stat.S_IMODE(state.mode) & _PERMISSIONS
    return {OWNER_NAME: str(state.owner), GROUP_NAME: str(state.group), MODE_NAME: f"{mode:04o}"}


def of_object(info: ObjectInfo, choices: TransferChoices) -> Ownership:
    """What a file made of that object is to have; what is missing or malformed was not asked for."""
    if choices.owner_and_mode is OwnerAndMode.LEAVE:
        return AS_SERVICE
    owner, group = _id(info.metadata.get(OWNER_NAME, "")), _id(info.metadata.get(GROUP_NAME, ""))
    mode = info.metadata.get(MODE_NAME, "")
    if owner is None or group is None:
        owner = group = None
    return Ownership(
        owner=owner, group=group, mode=int(mode, 8) & _PERMISSIONS if _MODE.fullmatch(mode) is not None else None
    )


def _id(text: str) -> int | None:
    if not _ID.fullmatch(text):
        return None
    number = int(text)
    return number if number <= _ID_MAX else None
