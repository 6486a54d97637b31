"""The emulator, with a log of how many bytes of bodies each request carried: one JSON line a request, when it has ended.

Run by its path with the emulator's own arguments; the log lies beside its directory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from penstock.emulator import __main__ as program
from penstock.emulator import create_app

Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `part` tells that it was about a part of an object: a range, or a part of an upload."""

    method: str
    path: str
    part: bool
    received_bytes: int
    sent_bytes: int


def log_of(root: Path) -> Path:
    """Where the log of the emulator over `root` is."""
    return root.with_name(f"{root.name}.requests")


def requests_of(root: Path) -> list[Request]:
    """All requests that have ended."""
    return [Request(**json.loads(line)) for line in log_of(root).read_text().splitlines()]


class Counted:
    """An ASGI application whose requests are counted."""

    def __init__(self, app: Callable[..., Awaitable[None]], log: Path) -> None:
        self._app = app
        self._log = log.open("a", buffering=1)

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        received = sent = 0

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal sent
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            part = b"partNumber=" in scope["query_string"] or any(name == b"range" for name, _ in scope["headers"])
            told = Request(
                method=scope["method"], path=scope["path"], part=part, received_bytes=received, sent_bytes=sent
            )
            self._log.write(json.dumps(asdict(told)) + "\n")


def counted_app(*, root: Path, **more: Any) -> Starlette:
    """The emulator's application, counted."""
    app = create_app(root=root, **more)
    app.router.default = Counted(app.router.default, log_of(root))
    return app


if __name__ == "__main__":
    setattr(program, "create_app", counted_app)  # noqa: B010  (typed as imported there)
    sys.exit(program.main(sys.argv[1:]))
