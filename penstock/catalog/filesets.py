"""The verbs on filesets: the catalog's, in a class of their own because they are many.

Made by the Catalog; runs each verb of `planting` in one transaction of its writer, or reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from penstock.catalog import identifiers, planting
from penstock.catalog.batches import Do
from penstock.catalog.filesetwork import Fileset, FilesetChanges, FilesetQuery, NewFileset, Quota
from penstock.catalog.session import Session
from penstock.catalog.verbs import Call, Page


class DoCall(Protocol):
    """Runs work of a call, with its nonce and its ClientToken."""

    def __call__(self, call: Call, work: Callable[[Session], str], /) -> Awaitable[str]: ...


class Filesets:
    """What changes one for a caller raises FilesetNotFoundError where there is none."""

    def __init__(self, *, call: DoCall, write: Do, read: Do) -> None:
        self._call = call
        self._write = write
        self._read = read

    async def create(self, call: Call, new: NewFileset) -> str:
        """Take path and id for a directory that is made next; the id, or "" for a dry run.

        FilesetExistsError, NestedFilesetError, TooManyFilesetsError.
        """
        return await self._call(call, lambda session: planting.create(session, new))

    async def be_made(self, fileset: Fileset) -> None:
        """CREATING -> CREATED: the directory is there, and will be after a power cut."""
        number = identifiers.fileset_number(fileset.fset_id)
        await self._write(lambda session: session.run("filesets.be_made", number=number))

    async def withdraw(self, fileset: Fileset) -> bool:
        """Forget one that is CREATING, with the ClientToken of its call; False where it is CREATED by now."""
        return bool(await self._write(lambda session: planting.withdraw(session, fileset)))

    async def require_free(self, file_system_id: str, fset_id: str) -> Fileset:
        """The fileset, if it may be deleted. DeletionProtectedError, DependencyViolationError."""

        def work(session: Session) -> Fileset:
            return planting.fileset_of(planting.require_free(session, file_system_id, fset_id))

        found: Fileset = await self._read(work)
        return found

    async def delete(self, call: Call, file_system_id: str, fset_id: str) -> None:
        """Take its id away; the directory is gone. DeletionProtectedError, DependencyViolationError."""
        await self._step(call, lambda session: planting.delete(session, file_system_id, fset_id))

    async def modify(self, call: Call, file_system_id: str, fset_id: str, changes: FilesetChanges) -> None:
        """Describe or protect it otherwise."""
        await self._step(call, lambda session: planting.modify(session, file_system_id, fset_id, changes))

    async def limit(self, call: Call, file_system_id: str, fset_id: str, quota: Quota) -> None:
        """Give it another quota; an empty one takes it away."""
        await self._step(call, lambda session: planting.limit(session, file_system_id, fset_id, quota=quota))

    async def one(self, file_system_id: str, fset_id: str) -> Fileset:
        """One fileset. FilesetNotFoundError."""

        def work(session: Session) -> Fileset:
            return planting.fileset_of(planting.visible(session, file_system_id, fset_id))

        found: Fileset = await self._read(work)
        return found

    async def page(self, query: FilesetQuery, *, next_token: str, limit: int) -> Page[Fileset]:
        """A page of a file system's filesets. InvalidNextTokenError."""
        found: Page[Fileset] = await self._read(lambda session: planting.page(session, query, next_token, limit))
        return found

    async def to_look_at(self, before_ns: int) -> Fileset | None:
        """The next one that is CREATING, or was counted before that time."""
        found: Fileset | None = await self._read(lambda session: planting.to_look_at(session, before_ns))
        return found

    async def count(self, fset_id: str, usage: tuple[int, int] | None) -> None:
        """Note what is in it: bytes and entries; None: it could not be counted."""
        await self._write(lambda session: planting.count(session, fset_id, usage))

    async def _step(self, call: Call, verb: Callable[[Session], Any]) -> None:
        def work(session: Session) -> str:
            verb(session)
            return ""

        await self._call(call, work)
