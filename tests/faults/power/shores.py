"""A bucket server over each disk's bucket, at the price of a fork: one program has imported the emulator for all of them.

with shores() as made:
    shore = made.serve(root, keys)   # accepts
    shore.stop()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.fixtures.service import read_line
from tests.fixtures.waiting import wait_until

READY_S = 30.0
STOP_S = 20.0
REGION = "cn-hangzhou"
ROOM = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shore:
    """One that accepts."""

    endpoint: str
    pid: int
    region: str = REGION

    def stop(self) -> None:
        """End it, and wait for that."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{self.pid}").exists(), STOP_S, "a bucket server did not end")


class Shores:
    """The program that forks them."""

    def __init__(self, asking: IO[bytes], answers: IO[bytes]) -> None:
        self._asking = asking
        self._answers = answers

    def serve(self, root: Path, keys: Path) -> Shore:
        """One over `root`, for the access keys in the file `keys`."""
        self._asking.write(json.dumps([str(root), str(keys)]).encode() + b"\n")
        self._asking.flush()
        told = {**self._told(), **self._told()}
        return Shore(endpoint=told["oss"], pid=int(told["pid"]))

    def _told(self) -> dict[str, str]:
        line = read_line(self._answers, READY_S)
        assert line, "no bucket server came up"
        return dict(json.loads(line))


@contextmanager
def shores() -> Iterator[Shores]:
    """The program, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.power.shores"],
        cwd=ROOM,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Shores(process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.wait(STOP_S)
        process.stdout.close()


def main() -> None:
    """Fork one for each line."""
    from penstock.emulator import __main__ as program  # only here: whoever asks has no need of it

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        root, keys = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.close(0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(program.main([root, "--port", "0", "--region", REGION, "--access-key-file", keys]))
        os.write(1, json.dumps({"pid": pid}).encode() + b"\n")
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in children:  # whoever asked for them is gone
        os.kill(int(child), signal.SIGTERM)


if __name__ == "__main__":
    main()
