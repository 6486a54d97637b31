"""How long may a stranger take for a TLS handshake?"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from penstock.api.bodies import Bodies
from penstock.api.crowd import Crowd
from penstock.api.options import ApiOptions
from penstock.app import web
from penstock.app.certificates import write_certificates
from penstock.settings.home import Home
from tests.fixtures.waiting import seen_until

PATIENCE_S = 20.0


def test_a_handshake_that_does_not_come_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HANDSHAKE_TIME_S", 0.2)
    home = Home(path=tmp_path)
    write_certificates(home, now_ns=time.time_ns(), entropy=os.urandom)
    api = cast("Any", SimpleNamespace(options=ApiOptions(), bodies=Bodies(max_bytes=1 << 20), crowd=Crowd(max_count=9)))

    async def silent() -> bytes:
        server = web.web_server(api, certificate=home.tls / "server.pem", key=home.tls / "server.key")
        listening = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await seen_until(server.accepting.is_set, PATIENCE_S, "it does not start")
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await reader.read()
        finally:
            writer.close()
            server.should_exit = True
            await serving

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(silent()) == b""
