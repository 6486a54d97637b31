"""The verbs on auto-refreshes, as the API and the engine's refresher have them: the catalog's, in a class of their own.

Made by the Catalog; runs each verb of `refreshing` and `relooking` in one transaction of its writer, or reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from penstock import telemetry
from penstock.catalog import dataflows, refreshing, relooking
from penstock.catalog.batches import Do
from penstock.catalog.known import Portion
from penstock.catalog.refreshwork import Refresh, Seen
from penstock.catalog.session import Session
from penstock.catalog.verbs import Call
from penstock.model import RefreshPolicy
from penstock.telemetry import meters


class Step(Protocol):
    """Runs a verb for a caller, with what surrounds every call that changes something."""

    def __call__(self, call: Call, verb: Callable[[Session, str, str], None], /, *ids: str) -> Awaitable[Any]: ...


class Refreshes:
    """What is due is told by `every`; the bell of batches rings when that may have changed."""

    def __init__(self, *, write: Do, read: Do, step: Step) -> None:
        self._write = write
        self._read = read
        self._step = step

    # ------------------------------------------------------------------------------------------------ the API writes

    async def apply(
        self,
        call: Call,
        file_system_id: str,
        data_flow_id: str,
        *,
        paths: Sequence[str],
        policy: RefreshPolicy | None,
        interval_minutes: int | None,
    ) -> None:
        """Refresh these directories, too; None leaves policy and interval as they are. InvalidStateError unless Running,
        TooManyRefreshPathsError, RefreshPathExistsError, NestedRefreshPathError."""

        def verb(session: Session, *ids: str) -> None:
            flow = dataflows.visible(session, *ids)
            refreshing.apply(session, flow, paths, policy, interval_minutes)

        await self._step(call, verb, file_system_id, data_flow_id)

    async def modify(
        self,
        call: Call,
        file_system_id: str,
        data_flow_id: str,
        *,
        policy: RefreshPolicy | None,
        interval_minutes: int | None,
    ) -> None:
        """Refresh with another policy or interval; None leaves one as it is. Running, Misconfigured or Stopped, else
        InvalidStateError."""

        def verb(session: Session, *ids: str) -> None:
            refreshing.modify(session, dataflows.visible(session, *ids), policy, interval_minutes)

        await self._step(call, verb, file_system_id, data_flow_id)

    async def cancel(self, call: Call, file_system_id: str, data_flow_id: str, path: str) -> None:
        """Refresh a directory no more. In the same states as `modify`; RefreshPathNotFoundError."""

        def verb(session: Session, *ids: str) -> None:
            refreshing.cancel(session, dataflows.visible(session, *ids), path)

        await self._step(call, verb, file_system_id, data_flow_id)

    # ---------------------------------------------------------------------------------------------------- the engine

    async def every(self) -> Sequence[Refresh]:
        """All auto-refreshes of dataflows that are not deleted."""
        found: Sequence[Refresh] = await self._read(relooking.every)
        return found

    async def begin_look(self, data_flow_id: str) -> bool:
        """Begin a look; False where what the last one found is still under way, and the next one comes an interval later."""
        return bool(await self._write(lambda session: relooking.begin_look(session, data_flow_id)))

    async def known(self, data_flow_id: str, behind: str, until: str) -> Sequence[Portion]:
        """What is known of objects between two keys."""
        found: Sequence[Portion] = await self._read(
            lambda session: relooking.known_between(session, data_flow_id, behind, until)
        )
        return found

    async def take(self, data_flow_id: str, seen: Seen) -> bool:
        """Import what has changed and know what was seen, in one transaction; False where this look is not to go on."""
        is_taken = bool(await self._write(lambda session: relooking.take(session, data_flow_id, seen)))
        if is_taken:
            telemetry.numbers.count(meters.SUB_TASKS_CREATED, (), len(seen.files))
        return is_taken

    async def end_look(self, data_flow_id: str, look_ns: int) -> bool:
        """All was looked at; whether that was over before the next look was due."""
        return bool(await self._write(lambda session: relooking.end_look(session, data_flow_id, look_ns)))
