"""The local executor: mover processes on this machine, restarted when they die, and one more for suspects when needed.

Implements `Executor` with `process`. Knows no catalog; credentials are found by the movers themselves.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from penstock import telemetry
from penstock.engine import doomed
from penstock.engine.allowances import Allowances
from penstock.engine.executor import Attempt, Death, Inbox, MoverGoneError, MoverHealth, MoverPurpose, MoverRoom
from penstock.engine.figures import FiguresOfMovers
from penstock.engine.messages import Control, Figures, Hello, Lease, MoverLimits, Places, Report
from penstock.engine.moverslock import taken_alone
from penstock.engine.process import MoverProcess
from penstock.telemetry import meters
from penstock.transfer.transfer import TransferChoices

RESTART_WAITS_S = (0.0, 0.2, 1.0, 3.0, 10.0, 30.0)
HANGING_S = 3.0
PINGS = 6
"""How many signs of life a mover may leave out within `silence_s`."""
STEADY_S = 30.0
"""A mover that lived so long has not failed to start: the next one comes at once."""
FIGURES_NEW_S = 1.0
"""Figures told so lately are not asked for again."""
FIGURES_WAIT_S = 0.5
"""Who is asked for figures and tells none for so long (it may be stopped) keeps nobody from those of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutorOptions:
    """Where HOME's files are, how many movers there are, their bounds, and what was chosen about how files are moved."""

    lock_path: Path
    secrets_path: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # what movers get of the service's own
    movers: int = 2
    limits: MoverLimits = field(default_factory=MoverLimits)
    choices: TransferChoices = field(default_factory=TransferChoices)
    traps: str = ""  # for failpoints: the directory of traps
    vacate_wait_s: float = 10.0
    quarantine_idle_s: float = 30.0
    silence_s: float = 60.0  # a mover without a sign of life for so long is killed


class Seat:
    """The place of one mover: who sits there, and how often in a row one has died early."""

    def __init__(self, name: str, purpose: MoverPurpose) -> None:
        self.purpose = purpose
        self.early_deaths = 0
        self.deaths = 0  # that nobody ordered
        self.started_s = 0.0
        self.process: MoverProcess | None = None
        self.bringing_up: asyncio.Task[None] | None = None
        self.waiting: list[Lease | Control] = []  # for a quarantine mover that is not up yet
        self.figures_s = -math.inf  # when it last told figures
        self.figures_asked: asyncio.Future[None] | None = None
        self._name = name
        self._generation = 1

    @property
    def mover(self) -> str:
        """The name of who sits here, or will sit here next."""
        return f"{self._name}.{self._generation}"

    @property
    def ready(self) -> MoverProcess | None:
        """Who sits here, once it takes work."""
        return self.process if self.process is not None and self.process.is_ready else None

    def vacate(self) -> None:
        """Whoever sat here, or was waited for, is gone; the next one has another name."""
        self.process = None
        self.waiting = []
        self.figures_told(-math.inf)
        self._generation += 1

    def figures_told(self, now_s: float) -> None:
        """Whoever waits for figures need not wait for this one."""
        self.figures_s = now_s
        if self.figures_asked is not None:
            self.figures_asked.set_result(None)
            self.figures_asked = None


class LocalExecutor:
    """Movers as processes of this machine. Made on the event loop that uses it."""

    def __init__(self, *, options: LocalExecutorOptions) -> None:
        self._options = options
        self._seats = [Seat(f"mover-{number + 1}", MoverPurpose.WORK) for number in range(options.movers)]
        self._quarantine = Seat("mover-q", MoverPurpose.QUARANTINE)
        self._inbox: Inbox | None = None
        self._places = Places()
        self._closing = asyncio.Event()
        self._figures = FiguresOfMovers()
        self._watching: asyncio.Task[None] | None = None
        self._left_behind: list[str] = []
        self._allowances, self._allowances_descriptor = Allowances.make(time.monotonic_ns)

    def vacated(self) -> AbstractAsyncContextManager[None]:
        """No mover of an earlier service lives while this is open."""
        return taken_alone(self._options.lock_path, wait_s=self._options.vacate_wait_s)

    async def start(self, inbox: Inbox, places: Places) -> None:
        """Bring movers up."""
        self._inbox = inbox
        self._places = places
        for seat in self._seats:
            self._bring_up(seat)
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="watch movers")

    def movers(self) -> tuple[MoverRoom, ...]:
        """Movers that are up, and the quarantine, which comes up when it is needed."""
        if self._closing.is_set() or self._inbox is None:
            return ()
        seats = [seat for seat in self._seats if seat.ready is not None]
        limits = self._options.limits
        return tuple(
            MoverRoom(
                mover=seat.mover,
                purpose=seat.purpose,
                small_threads=limits.small_files,
                large_files=limits.large_files,
            )
            for seat in (*seats, self._quarantine)
        )

    @property
    def movers_up(self) -> int:
        """How many mover processes take work, the quarantine's too."""
        return sum(seat.ready is not None for seat in self._all())

    @property
    def left_behind(self) -> Sequence[str]:
        """Once closed: who could not be ended, and where it hangs, in words."""
        return self._left_behind

    def submit(self, mover: str, lease: Lease) -> None:
        """Hand a batch over. Raises MoverGoneError."""
        seat = self._seat_of(mover)
        if self._closing.is_set() or seat is None:
            raise MoverGoneError(f"{mover} is gone")
        if seat.ready is not None:
            seat.ready.submit(lease)
        elif seat.purpose is MoverPurpose.QUARANTINE:
            seat.waiting.append(lease)
            self._bring_up(seat)
        else:
            raise MoverGoneError(f"{mover} is not up")

    def control(self, mover: str, control: Control) -> None:
        """Tell a mover something."""
        seat = self._seat_of(mover)
        if seat is None:
            return
        if seat.ready is not None:
            seat.ready.tell(control)
        elif control.drain and seat.process is None:
            self._give_up(seat)
        elif seat.waiting:
            seat.waiting.append(control)

    def begun(self, mover: str) -> frozenset[Attempt]:
        """What that mover has under way."""
        seat = self._seat_of(mover)
        return frozenset() if seat is None or seat.ready is None else seat.ready.begun()

    def place(self, places: Places) -> None:
        """Tell all movers what is registered now."""
        self._places = places
        for seat in self._all():
            if seat.ready is not None:
                seat.ready.tell(places)

    def limit(self, rates: Mapping[str, int]) -> None:
        """As the contract says."""
        self._allowances.set(rates)

    def files_per_s(self) -> Mapping[str, float]:
        """As the contract says."""
        return self._allowances.files_per_s()

    def limited(self) -> frozenset[str]:
        """As the contract says."""
        return self._allowances.held()

    def health(self) -> tuple[MoverHealth, ...]:
        """As the contract says."""
        now_s = asyncio.get_running_loop().time()
        healths: list[MoverHealth] = []
        for seat in self._all():
            if seat.purpose is MoverPurpose.QUARANTINE and seat.process is None:
                continue
            self._asked_for_figures(seat)
            up = seat.ready
            healths.append(
                MoverHealth(
                    mover=seat.mover,
                    purpose=seat.purpose,
                    process_id=None if up is None else up.process_id,
                    age_s=None if up is None else now_s - seat.started_s,
                    silent_s=0.0 if up is None else up.silent_s,
                    deaths=seat.deaths,
                    figures=self._figures.of(seat.mover),
                )
            )
        return tuple(healths)

    def figures(self) -> Figures:
        """As the contract says."""
        return self._figures.all()

    async def figures_now(self) -> Figures:
        """What the movers count, all together, as it is in this second. Of one that does not answer: what it told last."""
        asked = [answer for seat in self._all() if (answer := self._asked_for_figures(seat)) is not None]
        if asked:
            await asyncio.wait(asked, timeout=FIGURES_WAIT_S)
        return self._figures.all()

    async def close(self, *, grace_s: float) -> None:
        """End all movers."""
        self._closing.set()
        if self._watching is not None:
            await self._watching
        await asyncio.gather(*(seat.bringing_up for seat in self._all() if seat.bringing_up is not None))
        processes = [seat.process for seat in self._all() if seat.process is not None]
        for process in processes:
            process.leave()
        endings = [asyncio.ensure_future(process.ended.wait()) for process in processes]
        if endings:
            _, late = await asyncio.wait(endings, timeout=grace_s)
            if late:
                telemetry.event("executor.killing", movers=len(late), level=telemetry.Level.WARNING)
            for process in processes:
                process.kill()
            await asyncio.wait(endings, timeout=HANGING_S)
            for ending in endings:
                ending.cancel()
            self._leave_behind(process for process in processes if not process.ended.is_set())
        for seat in self._all():
            self._give_up(seat)
        if self._allowances_descriptor >= 0:
            os.close(self._allowances_descriptor)
            self._allowances_descriptor = -1

    def _leave_behind(self, hanging: Iterable[MoverProcess]) -> None:
        """They are in the kernel, killed, and cannot be waited for: a file system of theirs does not answer."""
        roots = {one.file_system_id: one.root for one in self._places.file_systems}
        for process in hanging:
            where = ", ".join(sorted(roots.get(name, name) for name in process.file_systems())) or "unknown"
            self._left_behind.append(f"process {process.process_id} ({process.name}) hangs in {where}")
            telemetry.event(
                "executor.mover_hangs",
                mover=process.name,
                process_id=process.process_id,
                roots=where,
                level=telemetry.Level.ERROR,
                advice=doomed.ADVICE,
            )

    async def _watch(self) -> None:
        """Until closing, ask every mover for signs of life. A process that is stopped does nothing, and is never heard to end."""
        while not await self._is_closing_within(self._options.silence_s / PINGS):
            for seat in self._all():
                if seat.process is not None:
                    seat.process.ping(patience=PINGS)

    # ------------------------------------------------------------------------------------------------------------- seats

    def _all(self) -> tuple[Seat, ...]:
        return (*self._seats, self._quarantine)

    def _seat_of(self, mover: str) -> Seat | None:
        return next((seat for seat in self._all() if seat.mover == mover), None)

    @staticmethod
    def _asked_for_figures(seat: Seat) -> asyncio.Future[None] | None:
        """What is done when they have come; None where those that are here are new, or nobody can tell any."""
        loop = asyncio.get_running_loop()
        if seat.ready is None or loop.time() - seat.figures_s < FIGURES_NEW_S:
            return None
        if seat.figures_asked is None:
            seat.figures_asked = loop.create_future()
            seat.ready.tell(Control(figures=True))
        return seat.figures_asked

    def _give_up(self, seat: Seat) -> None:
        """Hand back what waits for a mover that will not come up any more."""
        if seat.waiting and seat.process is None and self._inbox is not None:
            name = seat.mover
            seat.vacate()
            self._inbox.died(Death(mover=name, begun=frozenset(), reason="it was not up yet", ordered=True))

    def _bring_up(self, seat: Seat) -> None:
        if seat.bringing_up is None and seat.process is None and not self._closing.is_set():
            seat.bringing_up = asyncio.get_running_loop().create_task(self._start(seat), name=f"start {seat.mover}")

    async def _start(self, seat: Seat) -> None:
        """Start a mover in this seat, with growing waits while that fails or they die early."""
        try:
            while not await self._is_closing_within(RESTART_WAITS_S[min(seat.early_deaths, len(RESTART_WAITS_S) - 1)]):
                process = self._made(seat)
                seat.started_s = asyncio.get_running_loop().time()
                try:
                    await process.start()
                except Exception as error:  # noqa: BLE001  (told, counted, tried again)
                    telemetry.failure("executor.mover_not_started", error, mover=process.name)
                    seat.early_deaths += 1
                    continue
                seat.process = process
                return
        finally:
            seat.bringing_up = None

    async def _is_closing_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                return await self._closing.wait()
        except TimeoutError:
            return self._closing.is_set()

    def _made(self, seat: Seat) -> MoverProcess:
        limits = self._options.limits
        hello = Hello(
            mover=seat.mover,
            secrets_path=str(self._options.secrets_path),
            places=self._places,
            limits=limits,
            choices=self._options.choices,
            traps=self._options.traps,
        )
        return MoverProcess(
            hello,
            lock_path=self._options.lock_path,
            allowances=self._allowances_descriptor,
            environment=self._options.environment,
            on_ready=lambda process: self._is_up(seat, process),
            on_report=lambda report: self._report(seat, report),
            on_death=lambda _, death: self._died(seat, death),
        )

    def _is_up(self, seat: Seat, process: MoverProcess) -> None:
        seat.process = process
        telemetry.numbers.count(meters.MOVERS_STARTED)
        telemetry.event("executor.mover_up", mover=process.name, process_id=process.process_id)
        process.tell(self._places)
        waiting, seat.waiting = seat.waiting, []
        for message in waiting:
            if isinstance(message, Lease):
                process.submit(message)
            else:
                process.tell(message)
        if self._inbox is not None:
            self._inbox.room_changed()

    def _report(self, seat: Seat, report: Report) -> None:
        if report.figures is not None:
            self._figures.tell(report.mover, report.figures)
            seat.figures_told(asyncio.get_running_loop().time())
        if self._inbox is not None:
            self._inbox.report(report)
        if seat.purpose is MoverPurpose.QUARANTINE and seat.process is not None and seat.process.is_idle:
            asyncio.get_running_loop().call_later(self._options.quarantine_idle_s, self._dismiss, seat, seat.process)

    @staticmethod
    def _dismiss(seat: Seat, process: MoverProcess) -> None:
        """The quarantine is not needed any more: its memory is."""
        if seat.process is process and process.is_idle:
            process.leave()

    def _died(self, seat: Seat, death: Death) -> None:
        seat.vacate()
        self._figures.died(death.mover)
        if not death.ordered:
            seat.deaths += 1
            telemetry.numbers.count(meters.MOVERS_DIED)
        lived_s = asyncio.get_running_loop().time() - seat.started_s
        seat.early_deaths = 0 if lived_s >= STEADY_S or death.ordered else seat.early_deaths + 1
        if self._inbox is not None:
            self._inbox.died(death)
        if seat.purpose is MoverPurpose.WORK:
            self._bring_up(seat)
