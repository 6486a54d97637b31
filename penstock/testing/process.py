"""The stand-in's process: started, waited for, and ended, whatever end the caller takes.

It ends when its stdin does, which is a pipe of ours: so a caller that is killed leaves nothing behind. Calls `service`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from penstock.errors import PenstockError
from penstock.testing.service import Service

READY_S = 60.0
END_S = 15.0
_COMMAND = (sys.executable, "-P", "-m", "penstock.cli", "serve", "--stand-in", "--ends-with-stdin")
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "NO_COLOR")
"""Of the environment: nobody's proxies, profiles or credentials."""


class StandInError(PenstockError):
    """The stand-in did not come up; its log is in the message."""


@contextlib.contextmanager
def running(*, seed: int | None = None) -> Iterator[Service]:
    """A stand-in in a process of its own, for as long as the context lasts. With a `seed` the same calls get the same ids.

    Raises StandInError.
    """
    options = [] if seed is None else ["--seed", str(seed)]
    ours = os.environ  # house: the stand-in gets of it what every program does
    environment = {name: ours[name] for name in _KEPT if name in ours}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*_COMMAND, *options],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is the caller's
        )
        try:
            told = json.loads(_first_line(process, log))
            with contextlib.closing(Service(told, log=lambda: _text(log))) as service:
                yield service
        finally:
            _end(process)


def _first_line(process: subprocess.Popen[bytes], log: IO[bytes]) -> bytes:
    assert process.stdout is not None
    waiting = select.poll()
    waiting.register(process.stdout, select.POLLIN)
    line = process.stdout.readline() if waiting.poll(READY_S * 1000) else b""
    if not line:
        process.kill()
        process.wait()
        raise StandInError(f"the stand-in did not come up:\n{_text(log)}")
    return line


def _text(log: IO[bytes]) -> str:
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), size, 0).decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
