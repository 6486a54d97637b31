"""Runs one operation for a caller whose identity is established: nonce, rights, parameters, the operation, its refusals.

The signed door (`application`) and our own process (the console) both come through here. Never looks at a signature.
"""

from __future__ import annotations

from penstock.api import rights, sources
from penstock.api.errors import ApiError, from_penstock
from penstock.api.operation import Desk, Effect, Invocation, Nonce, Operation, Reply
from penstock.api.parameters import Wire, parse
from penstock.catalog.verbs import Call
from penstock.errors import CatalogError, NonceUsedError, PenstockError
from penstock.model import AccessKey


async def perform(
    desk: Desk, operation: Operation, *, principal: AccessKey, wire: Wire, nonce: Nonce, host: str = ""
) -> Reply:
    """The operation's reply. Raises ApiError; another PenstockError means a fault of ours.

    A nonce is used up whatever comes of the call, so that what is refused today cannot be replayed tomorrow: by a write in
    its own transaction (which keeps it when it refuses, too), else here. Likewise a ClientToken stands for its first
    answer whatever has become of the things it names: a write asks for it in its transaction, else it is asked for here.
    """
    invocation: Invocation | None = None
    try:
        if nonce.text and operation.effect is Effect.READ:
            await desk.catalog.use_nonce(nonce.text)
        rights.check(principal, operation.name, wire.get("FileSystemId", ""))
        values = parse(operation.parameters, wire)
        desk.unfamiliar.parameters(operation.name, operation.parameters, wire, desk.options.fidelity)
        invocation = Invocation(operation=operation, principal=principal, nonce=nonce, values=values, host=host)
        return await operation.run(desk, invocation)
    except PenstockError as error:
        mapped = from_penstock(error, retry_after_s=desk.options.throttled_retry_after_s)
        if mapped is None:
            raise
        refused = sources.in_words(mapped, desk.options.bucket_codes)
    except ApiError as error:
        refused = sources.in_words(error, desk.options.bucket_codes)
    if operation.effect is Effect.WRITE and not nonce.handed_over:
        if nonce.text:
            await _use_up(desk, Call(access_key_id=principal.access_key_id, action=operation.name, nonce=nonce.text))
        before = await _answered_before(desk, invocation) if invocation is not None else None
        if before is not None:
            return before
    raise refused


async def _answered_before(desk: Desk, invocation: Invocation) -> Reply | None:
    """Raises ApiError: the token was used with other parameters, or the catalog cannot be asked."""
    try:
        return await invocation.answered_before(desk.catalog)
    except CatalogError as error:
        raise from_penstock(error, retry_after_s=desk.options.throttled_retry_after_s) or error from error


async def _use_up(desk: Desk, call: Call) -> None:
    """Raises ApiError SignatureNonceUsed: a replay is told so, and nothing else."""
    try:
        await desk.catalog.refuse(call)
    except NonceUsedError as error:
        raise ApiError("SignatureNonceUsed", str(error)) from error
    except CatalogError:
        return  # the refusal stands, and a database that takes nothing cannot take the replay either
