"""One mover process as the control process sees it: its start, its socket, what it was given, and its certain end.

Everything happens on one event loop; starting the process is done in a thread. Knows no catalog and makes no decision.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from penstock import telemetry
from penstock.engine.board import Board
from penstock.engine.executor import Attempt, Death, MoverGoneError
from penstock.engine.messages import Control, Hello, Lease, Ready, Report
from penstock.engine.mover import places_by_lane
from penstock.engine.moverslock import take_shared
from penstock.engine.wire import FrameReader, Message, WireError, encode
from penstock.transfer.aside import OWN_ENVIRONMENT

SOCKET_BUFFER_BYTES = 1 << 20
MAPPED_FROM_BYTES = 1 << 20


class MoverProcess(asyncio.Protocol):
    """A mover. `on_ready`, `on_report`, `on_death` are called on the loop; `on_death` last and exactly once."""

    def __init__(
        self,
        hello: Hello,
        *,
        lock_path: Path,
        allowances: int,
        environment: Mapping[str, str],
        on_ready: Callable[[MoverProcess], None],
        on_report: Callable[[Report], None],
        on_death: Callable[[MoverProcess, Death], None],
    ) -> None:
        self.name = hello.mover
        self.is_ready = False
        self.process_id = 0
        self._hello = hello
        self._lock_path = lock_path
        self._allowances = allowances  # the descriptor, which stays the executor's
        self._environment = environment
        self._on_ready = on_ready
        self._on_report = on_report
        self._on_death = on_death
        self._reader = FrameReader()
        self._board, self._board_descriptor = Board.make(sum(places_by_lane(hello.limits).values()))
        self._given = 0
        self._held: dict[Attempt, tuple[int, str]] = {}  # its number on the board, and its file system
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid_descriptor = -1
        self._is_over = False
        self._ordered = False
        self._unanswered = 0
        self._heard_s = asyncio.get_running_loop().time()
        self._blame = ""
        self.ended = asyncio.Event()

    async def start(self) -> None:
        """Start the process and connect. Raises OSError, HomeInUseError; nothing is left of it then."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            lock = take_shared(self._lock_path)
            try:
                self._process = await asyncio.to_thread(
                    _started, (theirs.fileno(), self._board_descriptor, self._allowances), lock, self._environment
                )
            finally:
                os.close(lock)
            await self._connect(self._process, ours)
        except BaseException:
            ours.close()
            self._board.close()
            raise
        finally:
            theirs.close()
            os.close(self._board_descriptor)

    async def _connect(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.process_id = process.pid
        try:
            self._pid_descriptor = os.pidfd_open(process.pid)
            transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            process.kill()
            process.wait()
            raise
        self._transport = transport
        loop.add_reader(self._pid_descriptor, self._gone)
        self._transport.write(encode(self._hello))

    def submit(self, lease: Lease) -> None:
        """Hand a batch over. Raises MoverGoneError."""
        if self._is_over or self._transport is None or self._transport.is_closing():
            raise MoverGoneError(f"{self.name} is gone")
        for transfer in lease.transfers:
            self._given += 1
            self._held.setdefault((transfer.sub_task_id, transfer.attempt), (self._given, transfer.file_system_id))
        self._transport.write(encode(lease))

    def tell(self, message: Message) -> None:
        """Say something; nothing happens when the mover is gone."""
        if not self._is_over and self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def ping(self, *, patience: int) -> None:
        """Ask for a sign of life; a mover that left `patience` questions unanswered is stopped or hangs, and is killed.

        Questions are counted, not seconds: time in which this process itself stood still is nobody's silence.
        """
        if self._unanswered >= patience and not self._blame:
            self._blame = f"it gave no sign of life for {patience} pings and was "
            telemetry.event(
                "executor.mover_silent", mover=self.name, process_id=self.process_id, level=telemetry.Level.ERROR
            )
            self.kill()
        self._unanswered += 1
        self.tell(Control(ping=True))

    def begun(self) -> frozenset[Attempt]:
        """What it has under way, as it says on the board."""
        if self.ended.is_set():
            return frozenset()
        numbers = self._board.begun()
        return frozenset(attempt for attempt, (number, _) in self._held.items() if number in numbers)

    def file_systems(self) -> frozenset[str]:
        """Those on which it has something under way, by their ids."""
        begun = self.begun()
        return frozenset(file_system_id for attempt, (_, file_system_id) in self._held.items() if attempt in begun)

    @property
    def silent_s(self) -> float:
        """For how long nothing was heard of it, where a ping is unanswered; 0 where nobody asked."""
        return asyncio.get_running_loop().time() - self._heard_s if self._unanswered else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether it has ended all that it was given."""
        return not self._held

    def leave(self) -> None:
        """Close the socket: the mover ends itself at once. Nobody is to blame for what it had under way."""
        self._ordered = True
        if self._transport is not None:
            self._transport.abort()

    def kill(self) -> None:
        """End it now, whatever it does."""
        if not self._is_over and self._process is not None:
            signal.pidfd_send_signal(self._pid_descriptor, signal.SIGKILL)

    # ------------------------------------------------------------------------------------------------- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Messages of the mover."""
        self._unanswered = 0
        self._heard_s = asyncio.get_running_loop().time()
        try:
            messages = self._reader.feed(data)
        except WireError as error:
            telemetry.failure("executor.mover_unintelligible", error, mover=self.name)
            self.kill()
            return
        for message in messages:
            if isinstance(message, Report):
                for outcome in message.outcomes:
                    self._held.pop((outcome.sub_task_id, outcome.attempt), None)
                if message.outcomes or message.progress or message.checkpoints or message.figures:
                    self._on_report(message)
            elif isinstance(message, Ready):
                self.is_ready = True
                self._on_ready(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (the process's end says what happened)
        """The socket is closed: everything that the mover sent has been read; a mover without a socket must end."""
        self._transport = None
        if not self._ordered:
            self.kill()
        self._conclude()

    def _gone(self) -> None:
        """The process has ended. What it had sent may still be on the way through the socket: `_conclude` waits for it."""
        asyncio.get_running_loop().remove_reader(self._pid_descriptor)
        os.close(self._pid_descriptor)
        self._is_over = True
        self._conclude()

    def _conclude(self) -> None:
        """Tell the death once both the process and its socket have ended."""
        if not self._is_over or self._transport is not None or self._process is None or self.ended.is_set():
            return
        code = self._process.wait()
        begun = self.begun()
        self._board.close()
        self.ended.set()
        self._on_death(
            self, Death(mover=self.name, begun=begun, reason=self._blame + _ending_words(code), ordered=self._ordered)
        )


def _started(descriptors: Sequence[int], lock: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the interpreter with nothing but what a mover needs: four descriptors, and an environment of its own.

    `environment` is what it gets of the service's: credentials that are to be found there, whom to trust, and nothing else.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "penstock.start", "penstock.engine.mover_process", *map(str, descriptors)],
        pass_fds=(*descriptors, lock),
        close_fds=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        env={**_environment(), **environment},
    )


def _environment() -> Mapping[str, str]:
    """What each interpreter of ours is told, and how memory is taken and given back.

    Threads share few arenas. Buffers of a MiB and more are mapped, and so given back, one by one: left to itself glibc takes
    them from the heap once a large one was freed, where what lies between them keeps hundreds of MiB from going back.
    """
    return {
        **OWN_ENVIRONMENT,
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(MAPPED_FROM_BYTES),
    }


def _ending_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
