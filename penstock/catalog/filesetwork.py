"""What the verbs on filesets take and give: plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FilesetStatus(StrEnum):
    """Status of a fileset, in the wire's words."""

    CREATING = "CREATING"
    CREATED = "CREATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much a fileset is meant to hold at most; 0 is no limit."""

    size_bytes: int = 0
    file_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fileset:
    """A directory of a file system with an id. The path starts and ends with `/`.

    What is in it was counted at `counted_ns`: the bytes of its files, and how many files, directories and links there are.
    """

    file_system_id: str
    fset_id: str
    file_system_path: str
    description: str
    deletion_protection: bool
    status: FilesetStatus
    quota: Quota
    space_usage_bytes: int
    file_count_usage: int
    counted_ns: int
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFileset:
    """A fileset to create; its directory is made afterwards."""

    file_system_id: str
    file_system_path: str
    description: str
    deletion_protection: bool
    quota: Quota
    filesets_max: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesetChanges:
    """What is to be different of a fileset; None leaves it as it is."""

    description: str | None
    deletion_protection: bool | None


class FilesetOrder(StrEnum):
    """By which field a list of filesets is ordered, in the wire's words; NEWEST where nothing is asked."""

    NEWEST = ""
    FILE_COUNT_LIMIT = "FileCountLimit"
    SIZE_LIMIT = "SizeLimit"
    FILE_COUNT_USAGE = "FileCountUsage"
    SPACE_USAGE = "SpaceUsage"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesetQuery:
    """Filters and order of DescribeFilesets: `*_part` match substrings; None is no filter."""

    file_system_id: str
    fset_ids: Sequence[str] | None = None
    file_system_path_part: str | None = None
    description_part: str | None = None
    has_quota: bool | None = None
    order: FilesetOrder = FilesetOrder.NEWEST
    is_falling: bool = True
