"""The watch over the roots that may hang (on network file systems, say): a `RootWatch` in a process of its own.

A thread that waits for a dead mount cannot be ended, and its process neither: the service must not be that process. It is there
while such roots are registered, and ends with the service; `python -m penstock.app.farroots HOME` is what runs in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from penstock import telemetry
from penstock.app.registry import stamp_of
from penstock.app.rootwatch import LOOK_S, RootWatch
from penstock.engine.soundness import MountTrouble
from penstock.errors import SettingsError
from penstock.model import Registry
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from penstock.transfer.root import may_hang

SAID_BYTES = 64 << 10


class FarRoots:
    """`step` sees to it that the process is there while it is needed. Used on the event loop."""

    def __init__(
        self,
        home: Home,
        *,
        registry: Callable[[], Registry],
        note: Callable[[str, MountTrouble | None], None] = lambda _name, _found: None,
    ) -> None:
        """`note` is told what its looks find, as `RootWatch` tells it."""
        self._home = home
        self._registry = registry
        self._note = note
        self._said = b""
        self._process: subprocess.Popen[bytes] | None = None

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            try:
                self.step()
            except OSError as error:  # no process to be had now
                telemetry.failure("root.watch_not_started", error)
            await asyncio.sleep(LOOK_S)

    def step(self) -> None:
        """Raises OSError."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        is_needed = any(map(may_hang, self._registry().file_systems.values()))
        if is_needed and self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "penstock.app.farroots", os.fspath(self._home.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            self._said = b""
            if self._process.stdout is not None:
                os.set_blocking(self._process.stdout.fileno(), False)
        elif not is_needed:
            self.stop()
        self.listen()

    def listen(self) -> None:
        """Take what its looks have found. Never waits."""
        if self._process is None or self._process.stdout is None:
            return
        with suppress(BlockingIOError):
            while said := os.read(self._process.stdout.fileno(), SAID_BYTES):
                self._said += said
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            name, *found = json.loads(line)
            self._note(name, MountTrouble(code=found[0], message=found[1]) if found else None)

    def stop(self) -> None:
        """End it. Does not wait: it may hang in the file system, and has nothing of ours."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.kill()
            if process.stdout is not None:
                process.stdout.close()


class _Written:
    """The registry as HOME's files have it, read when they change; while they cannot be used the last one that could."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stamp = stamp_of(home)
        self._registry = load_registry(home)

    def current(self) -> Registry:
        stamp = stamp_of(self._home)
        if stamp != self._stamp:
            try:
                self._registry = load_registry(self._home)
            except SettingsError:  # the service says so
                return self._registry
            self._stamp = stamp
        return self._registry


def _end_with_pipe() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _say(file_system_id: str, found: MountTrouble | None) -> None:
    """One line on stdout: the id, and once the look has ended, what it has found."""
    line = [file_system_id] if found is None else [file_system_id, found.code, found.message]
    os.write(1, json.dumps(line).encode() + b"\n")


def main(arguments: list[str]) -> None:
    """Watch until stdin ends."""
    telemetry.configure(sys.stderr, form=telemetry.form_of(os.environ))
    threading.Thread(target=_end_with_pipe, name="watchdog", daemon=True).start()
    home = Home(path=Path(arguments[0]))
    try:
        written = _Written(home)
    except SettingsError:  # the service says so, and starts another one
        return
    RootWatch(home, registry=written.current, entropy=os.urandom, is_mine=may_hang, note=_say).run()


if __name__ == "__main__":
    main(sys.argv[1:])
