"""The embedded bucket server of a running service: started, watched, started again when it ends, stopped.

It keeps its listening socket over restarts, so its address never changes. One that keeps ending is a failure of the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable

from penstock import telemetry
from penstock.app.embedded import CLOSE, END_S, OPEN, READY_S, child_command, url_of
from penstock.errors import SettingsError
from penstock.settings.home import Home

RESTARTS_MAX = 5
RESTARTS_WITHIN_S = 600.0
WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0)


class EmulatorProcess:
    """One child process at a time. `clock_s` is a monotonic clock."""

    def __init__(self, home: Home, sock: socket.socket, *, region: str, clock_s: Callable[[], float]) -> None:
        self._home = home
        self._sock = sock
        self._region = region
        self._clock_s = clock_s
        self._process: asyncio.subprocess.Process | None = None
        self._ends: deque[float] = deque()
        self.url = url_of(sock)

    async def start(self) -> None:
        """Returns once it answers. Raises SettingsError when it does not."""
        self._process = process = await asyncio.create_subprocess_exec(
            *child_command(self._home, self._sock, self._region),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._sock.fileno(),),
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            said = await asyncio.wait_for(process.stdout.readline(), READY_S)
        except TimeoutError:
            said = b""
        if not said:
            await self.stop()
            raise SettingsError("the embedded bucket server did not start; the log says why")
        telemetry.event("emulator.answers", url=self.url, pid=process.pid)

    @contextlib.asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Its buckets are closed while this is open; those that are there then are served. Raises SettingsError."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(CLOSE)
        await self._hear(process.stdout)
        try:
            yield
        finally:
            process.stdin.write(OPEN)
            await self._hear(process.stdout)

    @staticmethod
    async def _hear(pipe: asyncio.StreamReader) -> None:
        if not await asyncio.wait_for(pipe.readline(), READY_S):
            raise SettingsError("the embedded bucket server ended; the log says why")

    async def watch(self) -> None:
        """Starts it again whenever it ends, until cancelled. Raises SettingsError when it ends too often."""
        while True:
            assert self._process is not None
            status = await self._process.wait()
            telemetry.event("emulator.ended", level=telemetry.Level.WARNING, status=status)
            await self._start_again()

    async def _start_again(self) -> None:
        while True:
            now_s = self._clock_s()
            while self._ends and now_s - self._ends[0] > RESTARTS_WITHIN_S:
                self._ends.popleft()
            if len(self._ends) == RESTARTS_MAX:
                raise SettingsError(
                    f"the embedded bucket server ended {RESTARTS_MAX + 1} times in a row; the log says why"
                )
            await asyncio.sleep(WAITS_S[min(len(self._ends), len(WAITS_S) - 1)])
            self._ends.append(now_s)
            try:
                await self.start()
            except SettingsError as error:
                telemetry.failure("emulator.not_started", error)
            else:
                return

    async def stop(self) -> None:
        """Ends it and returns when it is gone; does nothing when there is none."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def close(self) -> None:
        """Gives the port back."""
        self._sock.close()
