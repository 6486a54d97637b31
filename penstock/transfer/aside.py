"""Questions to file systems that may hang, each asked by a process of its own, which is left alone when no answer comes.

A thread that waits for a dead mount cannot be ended, and neither can its process: whoever must be able to end asks here. Nothing
is asked that changes anything but files whose names say that they are probes, and the directories of filesets, which may be made
and removed twice. Run as `python -m penstock.transfer.aside` it
answers the one question that stands on stdin.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import penstock

Found = TypeVar("Found")


class Aside:
    """Asks, and remembers who has not come back. For any thread.

    With `hanging_max` questions without an answer no other is asked: each has a process, which is there until its mount is.
    """

    def __init__(self, *, hanging_max: int = 8) -> None:
        self._hanging_max = hanging_max
        self._lock = threading.Lock()
        self._hanging: list[subprocess.Popen[bytes]] = []

    def ask(self, question: Callable[..., Found], *given: object, limit_s: float) -> Found:
        """What the question (a module's function that raises nothing) answers to what can be pickled. Raises TimeoutError,
        also where nobody can be sent: there is no answer then either."""
        with self._lock:
            self._hanging = [one for one in self._hanging if one.poll() is None]
            if len(self._hanging) >= self._hanging_max:
                raise TimeoutError(f"{len(self._hanging)} questions before this one have no answer")
        process = _process()
        try:
            answer, complaint = process.communicate(pickle.dumps((question, given)), limit_s)
        except subprocess.TimeoutExpired as error:
            process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            with self._lock:
                self._hanging.append(process)
            raise TimeoutError(f"no answer within {limit_s:g} s") from error
        if process.returncode:
            last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise TimeoutError(f"whoever was to look ended with {process.returncode}: {last}")
        found: Found = pickle.loads(answer)  # noqa: S301  (our own process wrote it)
        return found


def _process() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "penstock.transfer.aside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,  # ours, if it were kept open by one that hangs, would never end for whoever reads it
            start_new_session=True,
            cwd="/",
            env=OWN_ENVIRONMENT,
        )
    except OSError as error:  # no more processes, descriptors, memory
        raise TimeoutError(f"nobody can be sent to look: {error.strerror or error}") from error


OWN_ENVIRONMENT: Mapping[str, str] = {
    "PYTHONPATH": str(Path(penstock.__file__).resolve().parent.parent),
    "PYTHONSAFEPATH": "1",
    "LC_ALL": "C.UTF-8",
}
"""All that another interpreter of ours is told: where this very package is found, and a locale that can say everything."""

ASIDE = Aside()
"""The one of this process."""


def main() -> None:
    """Answer the question."""
    question: Callable[..., Any]
    question, given = pickle.load(sys.stdin.buffer)  # noqa: S301  (the process that started this one wrote it)
    sys.stdout.buffer.write(pickle.dumps(question(*given)))


if __name__ == "__main__":
    main()
