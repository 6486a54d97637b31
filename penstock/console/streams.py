"""Live pages: the parts of a page that changed, as server-sent events, until the visitor or the service goes.

A page says what it looks like now (`Watch`), once a second; what differs from what was sent is sent. The session is judged anew
each time, so a revoked key sees nothing more. How events are written is `events`' business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from penstock.console import events
from penstock.console.viewer import Viewer, viewer_of
from penstock.errors import CatalogError

PAUSE_S = 1.0
PAUSE_FOR_ONE_LOOK = 4
"""A look that takes long is followed by a pause so many times as long: people who watch never slow down what they watch."""

STREAMS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a page looks like now: its parts by name, each one element of HTML; what is told beside; where to go on from."""

    parts: Mapping[str, str]
    told: Sequence[tuple[str, object]] = ()
    cursor: str = ""


Watch = Callable[[Viewer], Awaitable[Look]]


class Streams:
    """How many streams are open: a bounded number, because each costs a look a second."""

    def __init__(self) -> None:
        self.open = 0


def live(request: Request, watch: Watch) -> Response:
    """The stream of what `watch` sees."""
    streams: Streams = request.app.state.streams
    if streams.open >= STREAMS_MAX:
        words = "As many live pages as may be are open. This page asks again by itself."
        return JSONResponse({"code": "TooManyStreams", "message": words}, 503, {"Retry-After": "5"})
    return StreamingResponse(
        _counted(_flow(request, watch), streams), media_type=events.MEDIA_TYPE, headers={"X-Accel-Buffering": "no"}
    )


async def _counted(flow: AsyncIterator[bytes], streams: Streams) -> AsyncIterator[bytes]:
    streams.open += 1
    try:
        async for chunk in flow:
            yield chunk
    finally:
        streams.open -= 1


async def _flow(request: Request, watch: Watch) -> AsyncIterator[bytes]:
    viewer = viewer_of(request)
    reach = viewer.reach
    sent: dict[str, str] = {}
    while not reach.ending.is_set():
        if not viewer.is_valid() or reach.registry().access_keys.get(viewer.name) != viewer.session.key:
            yield events.event("ended", {"why": "session"})
            return
        began_s = time.monotonic()
        try:
            look = await watch(viewer)
        except CatalogError as error:
            yield events.event("trouble", {"message": str(error)})
        else:
            for name, html in look.parts.items():
                if sent.get(name) != html:
                    yield events.event("part", {"name": name, "html": html})
            sent = dict(look.parts)
            for name, data in look.told:
                yield events.event(name, data)
            yield events.event("as-of", {"ms": reach.now_ns() // 1_000_000}, cursor=look.cursor)
        took_s = time.monotonic() - began_s
        await _pause(reach.ending, max(PAUSE_S, took_s * PAUSE_FOR_ONE_LOOK))
    yield events.event("ended", {"why": "service"})


async def _pause(ending: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(ending.wait(), seconds)
    except TimeoutError:
        return
