"""The mover's process: `python -m penstock.start penstock.engine.mover_process SOCKET BOARD ALLOWANCES`, numbers of
inherited descriptors.

Reads messages from the socket for as long as there is somebody at its other end. A watchdog ends the process at once, whatever
its threads do, when the control process is gone. Signals that a terminal or a supervisor sends to everybody are left to the
control process, which drains its movers first.
"""

from __future__ import annotations

import gc
import os
import random
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from penstock import failpoints, telemetry
from penstock.engine.allowances import Allowances
from penstock.engine.board import Board
from penstock.engine.harbour import Harbour
from penstock.engine.journey import ends_of
from penstock.engine.lines import Line
from penstock.engine.messages import Control, Figures, Hello, Lane, Lease, Places, Ready
from penstock.engine.mover import Mover, places_by_lane
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.engine.throttle import Throttle
from penstock.engine.wire import FrameReader, Message, encode
from penstock.stores.base import Store
from penstock.stores.opening import open_store
from penstock.telemetry.footprint import resident_bytes
from penstock.transfer import mover as gate
from penstock.transfer.grains import Grains
from penstock.transfer.moment import Moments
from penstock.transfer.parts import PartPool
from penstock.transfer.root import Root
from penstock.transfer.steps import Steps
from penstock.transfer.transfer import Intent, Outcome, Transfer, TransferChoices, TransferLimits
from penstock.transfer.transfer import Lane as GateLane

READ_BYTES = 256 << 10
GC_THRESHOLD = 20_000
EXIT_ABANDONED = 0
EXIT_BROKEN = 70
LEFT_TO_CONTROL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GATE_LANES = {Lane.SMALL: GateLane.SMALL, Lane.LARGE: GateLane.LARGE, Lane.SWEEP: GateLane.LARGE}


class Gate:
    """`transfer.mover.steps` with this process's part pool, bounds, choices, clock and randomness."""

    def __init__(self, limits: TransferLimits, choices: TransferChoices, *, grains_kept: int) -> None:
        self.parts = PartPool(
            limits.parts_in_flight,
            workers_max=limits.parts_in_flight_max,
            buffer_bytes=limits.buffer_bytes,
            clock_s=time.monotonic,
        )
        self._steps = partial(
            gate.steps,
            limits=limits,
            choices=choices,
            parts=self.parts,
            grains=Grains(limits.grain_bytes, kept=grains_kept),
            now_ns=time.time_ns,
            jitter=random.Random().random,  # noqa: S311  (spreads waits, guards nothing)
        )

    def __call__(self, transfer: Transfer, *, root: Root, store: Store, hooks: Running, lane: Lane) -> Steps[Outcome]:
        """One attempt."""
        return self._steps(transfer, root=root, store=store, hooks=hooks, lane=_GATE_LANES[lane])


class Connection:
    """The socket to the control process, as messages."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._reader = FrameReader()
        self._buffer = memoryview(bytearray(READ_BYTES))

    def read(self) -> list[Message]:
        """The next messages; ends the process when nobody is there any more."""
        try:
            count = self._link.recv_into(self._buffer)
        except ConnectionError:  # closed with words of ours still unread there
            count = 0
        if count == 0:
            os._exit(EXIT_ABANDONED)
        return self._reader.feed(self._buffer[:count])

    def send(self, message: Message) -> None:
        """Send one message; ends the process when nobody is there any more."""
        try:
            self._link.sendall(encode(message))
        except OSError:
            os._exit(EXIT_ABANDONED)


def main(
    arguments: list[str],
    environment: Mapping[str, str] = os.environ,  # house: this is where the process begins
) -> NoReturn:
    """Serve until the control process is gone."""
    for number in LEFT_TO_CONTROL:
        signal.signal(number, signal.SIG_IGN)
    telemetry.configure(sys.stderr, form=telemetry.form_of(environment))
    threading.excepthook = _thread_broke
    link = socket.socket(fileno=int(arguments[0]))
    threading.Thread(target=_watch, args=(link.fileno(),), name="watchdog", daemon=True).start()
    try:
        _serve(Connection(link), int(arguments[1]), int(arguments[2]), environment)
    except BaseException as error:  # noqa: BLE001  (whatever it is: say so and end, the control process starts another)
        telemetry.failure("mover.broken", error)
        os._exit(EXIT_BROKEN)


def _thread_broke(ended: threading.ExceptHookArgs) -> None:
    """A thread that breaks takes the process along: what it alone would have done would be waited for for ever."""
    try:
        telemetry.failure("mover.broken", ended.exc_value or ended.exc_type())
    finally:  # there may be no memory to say so
        os._exit(EXIT_BROKEN)


def _serve(
    connection: Connection, board_descriptor: int, allowances_descriptor: int, environment: Mapping[str, str]
) -> NoReturn:
    messages = connection.read()
    while not messages:
        messages = connection.read()
    hello = messages.pop(0)
    if not isinstance(hello, Hello):
        raise TypeError(f"the first message is a {type(hello).__name__}")
    failpoints.arm(hello.traps)
    allowances = Allowances(allowances_descriptor, time.monotonic_ns)
    mover, harbour = _built(hello, connection, board_descriptor, allowances, environment)
    connection.send(Ready(mover=hello.mover, process_id=os.getpid()))
    gc.collect()
    gc.freeze()  # what is here by now stays, and a file leaves no cycles: looking for some costs more than it finds
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    mover.start()
    while True:
        for message in messages:
            match message:
                case Lease():
                    mover.take(message)
                case Control():
                    mover.obey(message)
                case Places():
                    harbour.place(message)
                case _:
                    raise TypeError(f"a mover is not told {type(message).__name__}")
        messages = connection.read()


def _built(
    hello: Hello,
    connection: Connection,
    board_descriptor: int,
    allowances: Allowances,
    environment: Mapping[str, str],
) -> tuple[Mover, Harbour]:
    limits = hello.limits
    moments = Moments(time.monotonic)
    throttle = Throttle(threads=places_by_lane(limits), clock_s=time.monotonic)
    lines = {lane: Line(partial(_admitted, throttle, allowances, lane)) for lane in Lane}
    harbour = Harbour(
        places=hello.places,
        secrets_path=Path(hello.secrets_path),
        root_opener=partial(Root.open, moments=moments),
        environment=environment,
        store_opener=lambda bucket, credentials: open_store(bucket, credentials, pacer=throttle.pacer(bucket.name)),
    )
    outbox = Outbox(
        mover=hello.mover,
        limits=limits,
        send=connection.send,
        pressed=lambda: len(lines[Lane.SMALL]) > 0,
        clock_s=time.monotonic,
        figures=lambda: _figures(throttle, move.parts, mover),
        silent=throttle.silent,
    )
    move = Gate(limits.transfer, hello.choices, grains_kept=limits.small_threads)
    mover = Mover(
        limits=limits,
        lines=lines,
        harbour=harbour,
        outbox=outbox,
        throttle=throttle,
        allowances=allowances,
        board=Board(board_descriptor, sum(places_by_lane(limits).values())),
        move=move,
        clock_s=time.monotonic,
        moments=moments,
    )
    return mover, harbour


def _figures(throttle: Throttle, parts: PartPool, mover: Mover) -> Figures:
    return Figures(
        cpu_s=time.process_time(),
        resident_bytes=resident_bytes(),
        buckets=throttle.figures(),
        part_width=parts.workers,
        part_width_max=parts.workers_max,
        slow_file_systems=mover.slow_file_systems,
    )


def _admitted(throttle: Throttle, allowances: Allowances, lane: Lane, transfer: Transfer) -> bool:
    """Large files begin whatever their dataflow may move: it is their parts that wait."""
    if lane is Lane.SMALL and transfer.intent is Intent.MOVE and not allowances.is_open(transfer.data_flow_id):
        return False
    return throttle.admit(ends_of(transfer), lane)


def _watch(descriptor: int) -> None:
    """End the process as soon as the other end is closed, even while unread leases lie in the socket."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    while True:
        for _, events in poll.poll():
            if events & (select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL):
                os._exit(EXIT_ABANDONED)
