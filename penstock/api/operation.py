"""What an operation is, and what it works with: the desk that all share and the call at hand.

Operations are plain coroutines declared beside their parameters; `dispatch` finds them, `perform` runs them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from functools import lru_cache

import msgspec

from penstock.api.answers import Json
from penstock.api.downloads import Downloads
from penstock.api.errands import Errands
from penstock.api.errors import ApiError
from penstock.api.founder import Founder
from penstock.api.options import ApiOptions, Fidelity
from penstock.api.parameters import CLIENT_TOKEN, DRY_RUN, FILE_SYSTEM_ID, Parameter, Values, fingerprint
from penstock.api.streams import Streams
from penstock.api.unfamiliar import Unfamiliar
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing
from penstock.catalog.verbs import Call, CallMode
from penstock.model import AccessKey, Bucket, FileSystem, Registry
from penstock.stores.base import Store

WITH_DATA_FLOWS = ("bmcpfs-", "cpfs-")
"""How the ids of file systems begin for which the vendor has dataflows; here all do, unless fidelity is strict."""
DATA_FLOW_SINCE = (2, 4, 0)
STREAM_SINCE = (2, 6, 0)
FILESET_SINCE = (2, 7, 0)


class Origin(StrEnum):
    """Whose an action is: what the vendor does not have, strict fidelity does not have either."""

    VENDOR = "vendor"
    OURS = "ours"


class Effect(StrEnum):
    """Whether an operation changes something: the nonce of one that does is kept in the change's own transaction."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every operation may use."""

    catalog: Catalog
    seeing: Seeing
    registry: Callable[[], Registry]
    open_bucket: Callable[[Bucket], Store]
    options: ApiOptions
    zone: tzinfo
    stores: Errands
    file_systems: Errands
    streams: Streams
    downloads: Downloads
    unfamiliar: Unfamiliar
    founder: Founder


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation answers: the fields beside RequestId, and headers of its own."""

    fields: Mapping[str, Json]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One action of the API. `aliases` are names that strict fidelity does not know.

    `answers_id` is the field in which the id of what it made is answered; "" where it makes nothing. `recall` makes the
    answer's fields of what the catalog remembers with a ClientToken, where that is not an id.
    """

    name: str
    effect: Effect
    parameters: tuple[Parameter[object], ...]
    run: Callable[[Desk, Invocation], Awaitable[Reply]]
    aliases: tuple[str, ...] = ()
    answers_id: str = ""
    recall: Callable[[str, CallMode], Mapping[str, Json]] | None = None
    origin: Origin = Origin.VENDOR


class Nonce:
    """A request's nonce ("" for our own process), and whether the catalog has been given it with a write."""

    __slots__ = ("handed_over", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.handed_over = False

    def hand_over(self) -> str:
        """The nonce, for the write's own transaction: from now on it is the catalog's to use up."""
        self.handed_over = True
        return self.text


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One call at hand: who asks, with which nonce, for what, and under which name we were called ("" where nobody knows)."""

    operation: Operation
    principal: AccessKey
    nonce: Nonce
    values: Values
    host: str = ""

    def call(self) -> Call:
        """The call as the catalog's writing verbs want it; made for the very call of the verb, which keeps the nonce."""
        return self._call(self.nonce.hand_over())

    async def answered_before(self, catalog: Catalog) -> Reply | None:
        """What the first call with this ClientToken was answered (without its headers); None where there was none.

        Raises TokenMismatchError.
        """
        call = self._call("")
        result = await catalog.remembered(call) if call.client_token else None
        if result is None:
            return None
        if self.operation.recall is not None:
            return Reply(fields=self.operation.recall(result, call.mode))
        name = self.operation.answers_id
        return Reply(fields={name: "" if call.mode is CallMode.DRY_RUN else result} if name else {})

    def _call(self, nonce: str) -> Call:
        known = self.operation.parameters
        token = self.values[CLIENT_TOKEN] if CLIENT_TOKEN in known else ""
        only_asks = DRY_RUN in known and self.values[DRY_RUN]
        action = self.operation.name
        return Call(
            access_key_id=self.principal.access_key_id,
            action=action,
            nonce=nonce,
            client_token=token,
            fingerprint=fingerprint(action, self.operation.parameters, self.values) if token else "",
            mode=CallMode.DRY_RUN if only_asks else CallMode.COMMIT,
        )


def file_system_of(desk: Desk, values: Values, *, since: tuple[int, ...]) -> FileSystem:
    """The file system that FileSystemId names. Raises ApiError: unknown, or older than `since`."""
    file_system = desk.registry().file_systems.get(values[FILE_SYSTEM_ID])
    if file_system is None:
        raise ApiError(
            "InvalidFileSystem.NotFound", "There is no such file system; `penstock filesystem add` makes one."
        )
    if desk.options.fidelity is Fidelity.STRICT and not file_system.file_system_id.startswith(WITH_DATA_FLOWS):
        raise ApiError(
            "OperationDenied.DataFlowNotSupported",
            f"File systems of CPFS have dataflows: {' or '.join(WITH_DATA_FLOWS)}… (fidelity = strict).",
        )
    if version_of(file_system.version) < since:
        wanted = ".".join(map(str, since))
        raise ApiError(
            "InvalidFilesystemVersion.NotSupport",
            f"The file system has version {file_system.version}; this needs {wanted} or later.",
        )
    return file_system


def refuse_if_strict(desk: Desk, what: str) -> None:
    """Raises ApiError OperationDenied.DataFlowNotSupported for an extension, where strictness was asked for."""
    if desk.options.fidelity is Fidelity.STRICT:
        raise ApiError(
            "OperationDenied.DataFlowNotSupported", f"{what} is not for this kind of file system (fidelity = strict)."
        )


@lru_cache(maxsize=64)
def version_of(version: str) -> tuple[int, ...]:
    """A file system's version as numbers, to compare."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
