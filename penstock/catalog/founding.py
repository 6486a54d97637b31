"""The verbs on file systems that the API makes: a promise first, so that a repeated call finds what a death has left half made.

Which file systems there are stands in HOME's files; here is only which of them are promised, and what they hold.
"""

from __future__ import annotations

from penstock.catalog.batches import Do
from penstock.catalog.filesets import DoCall
from penstock.catalog.session import Session
from penstock.catalog.verbs import Call
from penstock.errors import DependencyViolationError

_TOKEN_NS = 600_000_000_000
"""So long ago the call may have begun whose ClientToken is to stand for nothing again."""


class Founding:
    """Made by the Catalog."""

    def __init__(self, *, call: DoCall, write: Do, read: Do) -> None:
        self._call = call
        self._write = write
        self._read = read

    async def promise(self, call: Call, file_system_id: str) -> str:
        """Keep that a file system of this id is to be; the id, an earlier one for a ClientToken, or "" for a dry run."""

        def work(session: Session) -> str:
            session.run("file_systems.promise", file_system_id=file_system_id)
            return file_system_id

        return await self._call(call, work)

    async def is_promised(self, file_system_id: str) -> bool:
        """Whether it is yet to be registered."""
        row = await self._read(lambda session: session.row("file_systems.one", file_system_id=file_system_id))
        return row is not None and not row["made"]

    async def be_made(self, file_system_id: str) -> None:
        """It is registered."""
        await self._write(lambda session: session.run("file_systems.be_made", file_system_id=file_system_id))

    async def withdraw(self, file_system_id: str) -> None:
        """It could not be registered: forget it, with the ClientToken of its call."""

        def work(session: Session) -> None:
            if session.run("file_systems.withdraw", file_system_id=file_system_id):
                now = session.last_number + 1
                session.run("calls.forget_result", since=now - _TOKEN_NS, before=now, result=file_system_id)

        await self._write(work)

    async def require_free(self, file_system_id: str) -> None:
        """Raises DependencyViolationError while it has dataflows or filesets."""
        row = await self._read(lambda session: session.row("file_systems.one", file_system_id=file_system_id))
        for what, name in (("dataflows", "data_flows"), ("filesets", "filesets")):
            if row is not None and row[name]:
                raise DependencyViolationError(
                    f"file system {file_system_id} has {row[name]} {what}; delete them first"
                )

    async def note(self, call: Call) -> None:
        """A call changes something that is kept elsewhere: its nonce is used up."""
        await self._call(call, lambda _: "")

    async def forget(self, call: Call, file_system_id: str) -> None:
        """It is registered no more."""

        def work(session: Session) -> str:
            session.run("file_systems.forget", file_system_id=file_system_id)
            return ""

        await self._call(call, work)
