"""Runs one operation for a caller whose identity is established: nonce, rights, parameters, the operation, its refusals.

The signed door (`application`) and our own process (the console) both come through here. Never looks at a signature.
"""

from __future__ import annotations

from penstock.api import rights
from penstock.api.errors import ApiError, from_penstock
from penstock.api.operation import Desk, Effect, Invocation, Nonce, Operation, Reply
from penstock.api.parameters import Wire, parse
from penstock.catalog.verbs import Call
from penstock.errors import CatalogError, NonceUsedError, PenstockError
from penstock.model import AccessKey


async def perform(desk: Desk, operation: Operation, *, principal: AccessKey, wire: Wire, nonce: Nonce) -> Reply:
    """The operation's reply. Raises ApiError; another PenstockError means a fault of ours.

    A nonce is used up whatever comes of the call, so that what is refused today cannot be replayed tomorrow: by a write in
    its own transaction (which keeps it when it refuses, too), else here.
    """
    try:
        if nonce.text and operation.effect is Effect.READ:
            await desk.catalog.use_nonce(nonce.text)
        return await _run(desk, operation, principal=principal, wire=wire, nonce=nonce)
    except PenstockError as error:
        mapped = from_penstock(error, retry_after_s=desk.options.throttled_retry_after_s)
        if mapped is None:
            raise
        refused = mapped
    except ApiError as error:
        refused = error
    if nonce.text and operation.effect is Effect.WRITE and not nonce.handed_over:
        await _use_up(desk, Call(access_key_id=principal.access_key_id, action=operation.name, nonce=nonce.text))
    raise refused


async def _run(desk: Desk, operation: Operation, *, principal: AccessKey, wire: Wire, nonce: Nonce) -> Reply:
    rights.check(principal, operation.name, wire.get("FileSystemId", ""))
    values = parse(operation.parameters, wire)
    return await operation.run(desk, Invocation(operation=operation, principal=principal, nonce=nonce, values=values))


async def _use_up(desk: Desk, call: Call) -> None:
    """Raises ApiError SignatureNonceUsed: a replay is told so, and nothing else."""
    try:
        await desk.catalog.refuse(call)
    except NonceUsedError as error:
        raise ApiError("SignatureNonceUsed", str(error)) from error
    except CatalogError:
        return  # the refusal stands, and a database that takes nothing cannot take the replay either
