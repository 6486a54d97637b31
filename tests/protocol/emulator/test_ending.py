"""Does the emulator end in order, and without a traceback, while somebody is still being answered?"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.emulator import STOP_S, EmulatorServer, start_emulator
from tests.fixtures.waiting import wait_until
from tests.protocol.emulator.test_wire import dial, head_of
from tests.protocol.emulator.wire import send

PROGRAM = (
    "import sys; from penstock.emulator import __main__ as program, application;"
    " application.GRACE_S = {}; sys.exit(program.main(sys.argv[1:]))"
)
SOON_S = 0.2
NEVER_S = 10 * STOP_S  # so that it is the second signal that ends it
UnderWay = Callable[[EmulatorServer], socket.socket]
MORE_THAN_SOCKETS_HOLD_BYTES = 32 << 20


def unread_answer(server: EmulatorServer) -> socket.socket:
    """A connection on which an answer is under way, of which only the beginning is read."""
    bucket = server.bucket()
    assert send(server, "PUT", bucket, "big", body=bytes(MORE_THAN_SOCKETS_HOLD_BYTES)).status == 200
    asking = dial(server)
    asking.sendall(head_of(server, "GET", bucket, "big", {}))
    assert asking.recv(12) == b"HTTP/1.1 200"
    return asking


def unsent_body(server: EmulatorServer) -> socket.socket:
    """A connection on which a body is awaited that does not come."""
    sending = dial(server)
    sending.sendall(
        head_of(server, "PUT", server.bucket(), "big", {"content-length": "1000", "expect": "100-continue"})
    )
    assert sending.recv(12) == b"HTTP/1.1 100"
    return sending


def is_deaf(server: EmulatorServer) -> bool:
    """Whether nobody can connect any more."""
    try:
        dial(server).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("signals", "grace_s"),
    [([signal.SIGTERM], SOON_S), ([signal.SIGINT, signal.SIGINT], NEVER_S)],
    ids=["once", "twice"],
)
@pytest.mark.parametrize("under_way", [unread_answer, unsent_body])
def test_whoever_is_still_answered_is_hung_up_on(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    under_way: UnderWay,
    signals: list[signal.Signals],
    grace_s: float,
) -> None:
    server = start_emulator(tmp_path / "root", program=("-c", PROGRAM.format(grace_s)))
    try:
        with under_way(server):
            server.process.send_signal(signals[0])
            for number in signals[1:]:
                wait_until(lambda: is_deaf(server), STOP_S, "the first signal was not heard")  # or both would be one
                server.process.send_signal(number)
            assert server.process.wait(STOP_S) == 0
    finally:
        server.stop()
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert "connections were cut" in said[0]
    assert not (server.root / "index.sqlite3-wal").exists()
