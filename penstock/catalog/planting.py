"""The fileset's verbs, each inside one transaction. That its directory is made, and when, is others' business."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock.catalog import identifiers
from penstock.catalog.database import Row
from penstock.catalog.filesetwork import (
    Fileset,
    FilesetChanges,
    FilesetOrder,
    FilesetQuery,
    FilesetStatus,
    NewFileset,
    Quota,
)
from penstock.catalog.pages import AFTER_ALL, read_token, write_token
from penstock.catalog.session import Session
from penstock.catalog.verbs import Page
from penstock.errors import (
    DeletionProtectedError,
    DependencyViolationError,
    FilesetExistsError,
    FilesetNotFoundError,
    InvalidNextTokenError,
    NestedFilesetError,
    TooManyFilesetsError,
)

_TOKEN_NS = 60_000_000_000
"""A call's token has a number that is older by less than a transaction lasts."""

_UNKNOWN = -1

_BY: dict[FilesetOrder, Callable[[Fileset], int]] = {
    FilesetOrder.NEWEST: lambda _: 0,
    FilesetOrder.FILE_COUNT_LIMIT: lambda fileset: fileset.quota.file_count,
    FilesetOrder.SIZE_LIMIT: lambda fileset: fileset.quota.size_bytes,
    FilesetOrder.FILE_COUNT_USAGE: lambda fileset: fileset.file_count_usage,
    FilesetOrder.SPACE_USAGE: lambda fileset: fileset.space_usage_bytes,
}


def fileset_of(row: Row) -> Fileset:
    """A fileset out of its row."""
    return Fileset(
        file_system_id=row["file_system_id"],
        fset_id=row["fset_id"],
        file_system_path=row["file_system_path"],
        description=row["description"],
        deletion_protection=bool(row["deletion_protection"]),
        status=FilesetStatus.CREATED if row["made"] else FilesetStatus.CREATING,
        quota=Quota(size_bytes=row["size_limit"], file_count=row["file_count_limit"]),
        space_usage_bytes=row["space_usage"],
        file_count_usage=row["file_count_usage"],
        counted_ns=row["counted_ns"],
        created_ns=row["created_ns"],
        updated_ns=row["updated_ns"],
    )


def visible(session: Session, file_system_id: str, fset_id: str) -> Row:
    """The fileset's row. FilesetNotFoundError."""
    number = identifiers.fileset_number(fset_id)
    row = session.row("filesets.one", number=number, fset_id=fset_id, file_system_id=file_system_id)
    if row is None:
        raise FilesetNotFoundError(f"file system {file_system_id} has no fileset {fset_id}")
    return row


def create(session: Session, new: NewFileset) -> str:
    """Take a path and an id for a directory that is to be made; its id."""
    number = session.next_number()
    session.run("data_flows.greet_file_system", file_system_id=new.file_system_id)
    for other in session.rows("filesets.of_file_system", file_system_id=new.file_system_id):
        path = other["file_system_path"]
        if path == new.file_system_path:
            raise FilesetExistsError(f"{path} is the fileset {other['fset_id']} already")
        if path.startswith(new.file_system_path) or new.file_system_path.startswith(path):
            raise NestedFilesetError(
                f"{new.file_system_path} and the fileset {other['fset_id']}, {path}, would be nested"
            )
    counted = session.run(
        "filesets.count_in_file_system", file_system_id=new.file_system_id, filesets_max=new.filesets_max
    )
    if not counted:
        raise TooManyFilesetsError(
            f"file system {new.file_system_id} has {new.filesets_max} filesets already; delete one first"
        )
    session.run(
        "filesets.add",
        number=number,
        fset_id=identifiers.fset_id(number),
        file_system_id=new.file_system_id,
        file_system_path=new.file_system_path,
        description=new.description,
        deletion_protection=int(new.deletion_protection),
        size_limit=new.quota.size_bytes,
        file_count_limit=new.quota.file_count,
        now_ns=session.now_ns,
    )
    return identifiers.fset_id(number)


def withdraw(session: Session, fileset: Fileset) -> bool:
    """Forget one whose directory could not be made, and the ClientToken that stands for it; False where it is made."""
    number = identifiers.fileset_number(fileset.fset_id)
    if not session.run("filesets.withdraw", number=number):
        return False
    session.run("filesets.leave_file_system", file_system_id=fileset.file_system_id)
    session.run("calls.forget_result", since=number - _TOKEN_NS, before=number, result=fileset.fset_id)
    return True


def require_free(session: Session, file_system_id: str, fset_id: str) -> Row:
    """Its row, if it may be deleted. DeletionProtectedError, DependencyViolationError, FilesetNotFoundError."""
    row = visible(session, file_system_id, fset_id)
    if row["deletion_protection"]:
        raise DeletionProtectedError(f"the fileset {fset_id} is protected; ModifyFileset takes DeletionProtection away")
    for flow in session.rows("data_flows.of_file_system", file_system_id=file_system_id):
        if flow["file_system_path"].startswith(row["file_system_path"]):
            raise DependencyViolationError(
                f"the dataflow {flow['data_flow_id']} has its FileSystemPath in the fileset {fset_id}; delete it first"
            )
    return row


def delete(session: Session, file_system_id: str, fset_id: str) -> None:
    """Take its id away."""
    row = require_free(session, file_system_id, fset_id)
    session.run("filesets.remove", number=row["number"])
    session.run("filesets.leave_file_system", file_system_id=file_system_id)


def modify(session: Session, file_system_id: str, fset_id: str, changes: FilesetChanges) -> None:
    """Describe or protect it otherwise."""
    row = visible(session, file_system_id, fset_id)
    protection = changes.deletion_protection
    session.run(
        "filesets.modify",
        number=row["number"],
        description=row["description"] if changes.description is None else changes.description,
        deletion_protection=row["deletion_protection"] if protection is None else int(protection),
        now_ns=session.now_ns,
    )


def limit(session: Session, file_system_id: str, fset_id: str, *, quota: Quota) -> None:
    """Give it another quota."""
    row = visible(session, file_system_id, fset_id)
    session.run(
        "filesets.limit",
        number=row["number"],
        size_limit=quota.size_bytes,
        file_count_limit=quota.file_count,
        now_ns=session.now_ns,
    )


def count(session: Session, fset_id: str, usage: tuple[int, int] | None) -> None:
    """Note what is in it: bytes and entries; None: it could not be counted."""
    space, files = usage or (_UNKNOWN, _UNKNOWN)
    session.run(
        "filesets.count",
        number=identifiers.fileset_number(fset_id),
        space_usage=space,
        file_count_usage=files,
        now_ns=session.now_ns,
    )


def to_look_at(session: Session, before_ns: int) -> Fileset | None:
    """The next one whose directory is to be made, or whose content was counted before that."""
    row = session.row("filesets.next_to_make") or session.row("filesets.next_to_count", before_ns=before_ns)
    return None if row is None else fileset_of(row)


def page(session: Session, query: FilesetQuery, next_token: str, size: int) -> Page[Fileset]:
    """A page of a file system's filesets. There are few, so all are read, filtered and ordered here."""
    known = session.rows("filesets.of_file_system", file_system_id=query.file_system_id)
    found = [fileset for fileset in map(fileset_of, known) if _is_wanted(fileset, query)]
    found.sort(key=_BY[query.order], reverse=query.is_falling)
    last = read_token(next_token, query)
    if last != AFTER_ALL:
        found = _behind(found, last, query)
    items = tuple(found[:size])
    following = write_token(identifiers.fileset_number(items[-1].fset_id), query) if len(found) > size else ""
    return Page(items=items, next_token=following)


def _behind(found: Sequence[Fileset], last: int, query: FilesetQuery) -> list[Fileset]:
    """What follows the one with that number, which may be gone where the order is that of numbers."""
    numbers = [identifiers.fileset_number(fileset.fset_id) for fileset in found]
    if query.order is FilesetOrder.NEWEST:
        return [fileset for fileset, number in zip(found, numbers, strict=True) if number < last]
    if last not in numbers:
        raise InvalidNextTokenError("the fileset with which the last page ended is gone: begin anew")
    return list(found[numbers.index(last) + 1 :])


def _is_wanted(fileset: Fileset, query: FilesetQuery) -> bool:
    return (
        (query.fset_ids is None or fileset.fset_id in query.fset_ids)
        and (query.file_system_path_part or "") in fileset.file_system_path
        and (query.description_part or "") in fileset.description
        and (query.has_quota is None or query.has_quota == (fileset.quota != Quota()))
    )
