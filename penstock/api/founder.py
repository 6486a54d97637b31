"""Who makes, removes and describes file systems for the API: what it is asked for, and how it refuses.

The API sees a protocol; `app` has the hands, because HOME's files are its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from penstock.api.errors import ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A file system to make."""

    file_system_id: str
    description: str
    version: str


class Founder(Protocol):
    """What each does is seen by everybody in the service once it returns, and is durable. All raise ApiError."""

    def new_id(self, prefix: str) -> str:
        """An id that nobody has."""
        ...

    async def may_found(self) -> None:
        """Raises ApiError where no directory can be made."""
        ...

    async def found(self, order: Order) -> None:
        """Make its directory and register it; whatever of that is done already stays."""
        ...

    async def remove(self, file_system_id: str) -> None:
        """Remove its directory, which has to be empty, and its registration."""
        ...

    async def describe(self, file_system_id: str, description: str) -> None:
        """Give it another description."""
        ...


WITHOUT_ROOT = (
    "No directory is named in which file systems may be made: set file_system_root in penstock.toml and start the service"
    " again, or register a directory with `penstock filesystem add`."
)


class NoFounder:
    """Where there is no HOME: everything is refused."""

    def new_id(self, prefix: str) -> str:
        """None is ever used."""
        return f"{prefix}-none"

    async def may_found(self) -> None:
        """Raises ApiError."""
        raise ApiError("OperationDenied.InvalidState", WITHOUT_ROOT)

    async def found(self, order: Order) -> None:  # noqa: ARG002
        """Raises ApiError."""
        await self.may_found()

    async def remove(self, file_system_id: str) -> None:  # noqa: ARG002
        """Raises ApiError."""
        await self.may_found()

    async def describe(self, file_system_id: str, description: str) -> None:  # noqa: ARG002
        """Raises ApiError."""
        await self.may_found()
