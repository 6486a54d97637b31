"""Does a mover end whose thread breaks, so that another takes up its files?"""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from penstock.engine.mover_process import EXIT_BROKEN

PATIENCE_S = 60

PROGRAM = """
import sys, threading
from penstock.engine import mover_process

def serve(*_):
    threading.Thread(target=lambda: [][0], name="small").start()
    threading.Event().wait()

mover_process._serve = serve
mover_process.main(sys.argv[1:], {})
"""


@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_mover_does_not_outlive_one_of_its_threads() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        command = [sys.executable, "-c", PROGRAM, str(number), "-1"]
        ended = subprocess.run(command, pass_fds=[number], capture_output=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == EXIT_BROKEN, ended.stderr
    assert b"mover.broken" in ended.stderr
    assert b"IndexError" in ended.stderr
