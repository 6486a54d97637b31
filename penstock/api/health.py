"""`GET /healthz` and `/readyz` at the API's port, unsigned, for whoever watches over the service. They tell nothing of its work.

Answers in the shape of all other answers; what readiness is, `app` knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from penstock.api.answers import Answer, Body
from penstock.api.protocol import LIVE_PATH, READY_PATH

Reasons = Callable[[], Awaitable[tuple[str, ...]]]
"""Why the service is not ready; nothing when it is."""


async def always_ready() -> tuple[str, ...]:
    """For an API that stands alone."""
    return ()


async def answered(path: bytes, reasons: Reasons, request_id: str) -> Answer:
    """200, or 503 with words where it is not ready. Who can be asked lives."""
    found = await reasons() if path == READY_PATH else ()
    body: Body = {"RequestId": request_id, "Status": "not ready" if found else "ok", "Reasons": list(found)}
    return Answer(
        status=503 if found else 200,
        action="healthz" if path == LIVE_PATH else "readyz",
        request_id=request_id,
        body=body,
        code="ServiceUnavailable" if found else "",
    )
