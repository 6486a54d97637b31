"""The emulator, with a log of how many bytes of bodies each request carried: one JSON line a request, when it has ended.

It also damages one body on its way in, and refuses all requests, where that was asked for. Run by its path with the
emulator's own arguments; the log lies beside its directory, and so do the files that say which body, and how.
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
from penstock.emulator.application import create_app
from penstock.emulator.protocol.answer import refusal
from penstock.emulator.protocol.errors import OssFault

Message = MutableMapping[str, Any]
STATUSES = {"AccessDenied": 403}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `part` tells that it was about a part of an object: a range, or a part of an upload; `refused` that it was
    not even looked at."""

    method: str
    path: str
    part: bool
    received_bytes: int
    sent_bytes: int
    refused: bool = False


def log_of(root: Path) -> Path:
    """Where the log of the emulator over `root` is."""
    return root.with_name(f"{root.name}.requests")


def requests_of(root: Path) -> list[Request]:
    """All requests that have ended."""
    return [Request(**json.loads(line)) for line in log_of(root).read_text().splitlines()]


def damage_of(root: Path) -> Path:
    """Where the path is written whose next PUT is to be damaged."""
    return root.with_name(f"{root.name}.damage")


def bar_of(root: Path) -> Path:
    """Where the code is written by which all requests are to be refused."""
    return root.with_name(f"{root.name}.bar")


class Counted:
    """An ASGI application whose requests are counted."""

    def __init__(self, app: Callable[..., Awaitable[None]], root: Path) -> None:
        self._app = app
        self._log = log_of(root).open("a", buffering=1)
        self._damage = damage_of(root)
        self._bar = bar_of(root)

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        received = sent = status = 0
        damages = self._damages(scope)
        code = self._barred()

        async def receiving() -> Message:
            nonlocal received, damages
            message = await receive()
            body = message.get("body", b"")
            received += len(body)
            if body and damages:
                damages = False
                return {**message, "body": bytes([body[0] ^ 1]) + body[1:]}
            return message

        async def sending(message: Message) -> None:
            nonlocal sent, status
            status = message.get("status", status)
            sent += len(message.get("body", b"")) if status < 400 else 0  # a refusal's words are no bytes of the object
            await send(message)

        try:
            await (_refuse(scope, sending, code) if code else self._app(scope, receiving, sending))
        finally:
            part = b"partNumber=" in scope["query_string"] or any(name == b"range" for name, _ in scope["headers"])
            told = Request(
                method=scope["method"],
                path=scope["path"],
                part=part,
                received_bytes=received,
                sent_bytes=sent,
                refused=bool(code),
            )
            self._log.write(json.dumps(asdict(told)) + "\n")

    def _barred(self) -> str:
        """The code of the refusal, if there is to be one."""
        try:
            return self._bar.read_text()
        except FileNotFoundError:
            return ""

    def _damages(self, scope: Message) -> bool:
        """Whether this body is to be damaged; asked once."""
        if scope["method"] != "PUT" or not self._damage.exists() or self._damage.read_text() != scope["path"]:
            return False
        self._damage.unlink()
        return True


async def _refuse(scope: Message, send: Callable[[Message], Awaitable[None]], code: str) -> None:
    """Answer as OSS would; the body stays unread, so that the connection ends."""
    fault = OssFault(STATUSES[code], code, "as a test wants it")
    answer = refusal(fault, request_id="0" * 24, host="bucket", method=scope["method"])
    headers = {**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
    named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": named})
    await send({"type": "http.response.body", "body": answer.body})


def counted_app(*, root: Path, **more: Any) -> Starlette:
    """The emulator's application, counted."""
    app = create_app(root=root, **more)
    app.router.default = Counted(app.router.default, root)
    return app


if __name__ == "__main__":
    setattr(program, "create_app", counted_app)  # noqa: B010  (typed as imported there)
    sys.exit(program.main(sys.argv[1:]))
