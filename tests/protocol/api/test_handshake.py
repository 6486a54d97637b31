"""How long may a stranger take for a TLS handshake, is what comes with its end read, and does a server end with its listener?"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from penstock.api import answers
from penstock.api.answers import Answer
from penstock.api.bodies import Bodies
from penstock.api.crowd import Crowd
from penstock.api.options import ApiOptions
from penstock.api.protocol import Format, Head
from penstock.app import web
from penstock.app.certificates import write_certificates
from penstock.settings.home import Home
from tests.fixtures.waiting import seen_until

PATIENCE_S = 60.0


class Heard:
    """An API that answers what it hears of."""

    def __init__(self) -> None:
        self.options = ApiOptions()
        self.bodies = Bodies(max_bytes=1 << 20)
        self.crowd = Crowd(max_count=9)

    async def answer(self, head: Head, body: bytes) -> tuple[Answer, Format]:
        said = {"Said": body.decode()}
        return answers.success("Heard", "R", said), Format.JSON


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


def test_a_request_in_one_packet_with_the_handshakes_end_is_answered(tmp_path: Path) -> None:
    home = Home(path=tmp_path)
    write_certificates(home, now_ns=time.time_ns(), entropy=os.urandom)
    api = cast("Any", Heard())

    async def together() -> bytes:
        server = web.web_server(api, certificate=home.tls / "server.pem", key=home.tls / "server.key")
        listening = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await seen_until(server.accepting.is_set, PATIENCE_S, "it does not start")
        try:
            return await asyncio.to_thread(_in_one_packet, listening.getsockname(), home)
        finally:
            server.should_exit = True
            await serving

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert b'"Said":"hello"' in runner.run(together())
    assert len(api.crowd) == 0


def _in_one_packet(address: tuple[str, int], home: Home) -> bytes:
    """A client that says its Finished and its request at once; what it is answered."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=os.fspath(home.ca_file))
    client = context.wrap_bio(coming, going, server_hostname="127.0.0.1")
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(going.read())
                coming.write(connection.recv(1 << 16))
        client.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello")
        connection.sendall(going.read())
        while True:
            try:
                return client.read(1 << 16)
            except ssl.SSLWantReadError:
                coming.write(connection.recv(1 << 16))


def test_a_server_whose_listener_is_gone_ends() -> None:
    """So that it is started anew; nobody could reach it any more."""

    async def deaf() -> None:
        server = web.web_server(cast("Any", Heard()), certificate=None, key=None)
        listening = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await seen_until(server.accepting.is_set, PATIENCE_S, "it does not start")
        listening.detach()  # uvloop closes it for good when the kernel has nothing left to accept with
        async with asyncio.timeout(PATIENCE_S):
            await serving

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(deaf())
