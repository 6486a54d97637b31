"""The dataflow API for Python programs.

`Penstock` blocks, `AsyncPenstock` is for asyncio; both find or make dataflows and streams, hand over files, wait for them, and
tell what became of each. `Client` is the wire beneath: one signed call of the API. Calls nothing of the service; stands on
`penstock.model` and `penstock.errors` alone, and comes up without what only asyncio needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.client.blocking import Flow, Penstock, Stream, Submission
from penstock.client.bulk import (
    BULK_FILES_MAX,
    BULK_FORM_MAX_BYTES,
    Created,
    FileToMove,
    bulk_entry,
    bulk_pages,
)
from penstock.client.signing import (
    ALGORITHM,
    API_VERSION,
    FORM_TYPE,
    ClientOptions,
    Parameter,
    canonical_query,
    flatten,
    form_body,
    signed_headers,
)
from penstock.client.values import FlowFacts, Refused, StreamFacts, SubTask
from penstock.client.wire import Client
from penstock.errors import (
    ApiRefusedError,
    ApiUnreachableError,
    FileRefusedError,
    NotMovedError,
    NotReadyError,
    PenstockError,
    SubTaskGoneError,
    WaitOverError,
)
from penstock.model import ConflictPolicy, Direction, SubTaskStatus

if TYPE_CHECKING:
    from penstock.client.asynchronous import AsyncFlow, AsyncPenstock, AsyncStream, AsyncSubmission

__all__ = [
    "ALGORITHM",
    "API_VERSION",
    "BULK_FILES_MAX",
    "BULK_FORM_MAX_BYTES",
    "FORM_TYPE",
    "ApiRefusedError",
    "ApiUnreachableError",
    "AsyncFlow",
    "AsyncPenstock",
    "AsyncStream",
    "AsyncSubmission",
    "Client",
    "ClientOptions",
    "ConflictPolicy",
    "Created",
    "Direction",
    "FileRefusedError",
    "FileToMove",
    "Flow",
    "FlowFacts",
    "NotMovedError",
    "NotReadyError",
    "Parameter",
    "Penstock",
    "PenstockError",
    "Refused",
    "Stream",
    "StreamFacts",
    "SubTask",
    "SubTaskGoneError",
    "SubTaskStatus",
    "Submission",
    "WaitOverError",
    "bulk_entry",
    "bulk_pages",
    "canonical_query",
    "flatten",
    "form_body",
    "signed_headers",
]

_ON_ASYNCIO = frozenset({"AsyncFlow", "AsyncPenstock", "AsyncStream", "AsyncSubmission"})


def __getattr__(name: str) -> object:
    """What only programs on asyncio need is imported for them alone."""
    if name not in _ON_ASYNCIO:
        raise AttributeError(name)
    from penstock.client import asynchronous  # noqa: PLC0415  (see above)

    return getattr(asynchronous, name)
