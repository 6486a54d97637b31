"""The outbox of a mover: sends outcomes and questions at once, in batches, and progress in a calm rhythm.

One thread does that, woken for every batch. Only what comes of a file that was alone is sent by whoever brings it: there is
nothing that this could hold up, and it is a thread less that has to wake up before the outcome is known.

Gets messages to the control process through `send`, which may block. Decides nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

from penstock import failpoints
from penstock.engine.executor import Attempt
from penstock.engine.messages import CheckpointRequest, Figures, MoverLimits, Report
from penstock.engine.running import Answer, Running
from penstock.transfer.transfer import Checkpoint, Outcome

TICK_S = 0.25
LULL_S = 0.5  # how often it is looked whether progress is due while none was told lately
GATHER_S = 0.002  # under load an outcome waits that long for company
BATCH_ENOUGH = 32
FIGURES_EVERY_S = 2.0


class Outbox:
    """What a mover has to say. `pressed` tells whether more work waits, so that a little gathering costs nobody anything.

    `silent` names the buckets that answer nothing: when those are others, that is told at once, with all figures.
    """

    def __init__(
        self,
        *,
        mover: str,
        limits: MoverLimits,
        send: Callable[[Report], None],
        pressed: Callable[[], bool],
        clock_s: Callable[[], float],
        figures: Callable[[], Figures | None] = lambda: None,
        silent: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._mover = mover
        self._limits = limits
        self._send = send
        self._pressed = pressed
        self._clock_s = clock_s
        self._figures = figures
        self._figures_told_s = -math.inf
        self._silent = silent
        self._silent_told: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._sending = threading.Lock()  # before `_changed`, where both are held
        self._outcomes: list[Outcome] = []
        self._requests: list[CheckpointRequest] = []
        self._answers: dict[int, Answer] = {}
        self._sequence = 0
        self._pinged = False
        self._running: dict[Attempt, Running] = {}

    def watch(self, running: Running) -> None:
        """Tell its progress from now on. Nobody is woken: a small file has ended before there is any to tell."""
        with self._changed:
            self._running[running.attempt] = running

    def ended(self, ended: Sequence[tuple[Running, Outcome]]) -> None:
        """These have ended: tell the outcomes."""
        with self._changed:
            for running, outcome in ended:
                self._running.pop(running.attempt, None)
                self._outcomes.append(outcome)
            if len(self._outcomes) > 1 or self._running or self._sending.locked() or self._pressed():
                self._changed.notify()
                return
        self.step()

    def ask(self, running: Running, record: Checkpoint) -> Answer:
        """Ask for a record to be made durable."""
        answer = Answer()
        with self._changed:
            self._sequence += 1
            self._answers[self._sequence] = answer
            self._requests.append(
                CheckpointRequest(
                    sequence=self._sequence,
                    sub_task_id=running.transfer.sub_task_id,
                    attempt=running.transfer.attempt,
                    record=record,
                )
            )
            self._changed.notify()
        return answer

    def checkpointed(self, sequences: tuple[int, ...]) -> None:
        """The records of these questions are durable."""
        self._answer(sequences, durable=True)

    def refused(self, sequences: tuple[int, ...]) -> None:
        """The attempts of these questions are fenced off."""
        self._answer(sequences, durable=False)

    def _answer(self, sequences: tuple[int, ...], *, durable: bool) -> None:
        for sequence in sequences:
            with self._changed:
                answer = self._answers.pop(sequence, None)
            if answer is not None:
                answer.durable = durable
                answer.said.set()

    def show_life(self) -> None:
        """Say something soon, even if there is nothing to say."""
        with self._changed:
            self._pinged = True
            self._changed.notify()

    def show_figures(self) -> None:
        """Tell the figures soon, however new the last ones are."""
        self._figures_told_s = -math.inf  # before the question can be answered
        self.show_life()

    def step(self) -> bool:
        """Send what there is to say, if there is anything; True when something was sent."""
        with self._sending:
            return self._send_news()

    def _send_news(self) -> bool:
        with self._changed:
            outcomes, self._outcomes = tuple(self._outcomes), []
            requests, self._requests = tuple(self._requests), []
            due = self._due()
            pinged, self._pinged = self._pinged, False
        if not (outcomes or requests or due or pinged):
            return False
        progress = tuple(running.told for running in due if running.told is not None)
        parts = tuple(moved for running in due if (moved := running.parts_moved()) is not None)
        if outcomes:
            failpoints.passing("outcome.tell")
        self._send(
            Report(
                mover=self._mover,
                progress=progress,
                checkpoints=requests,
                outcomes=outcomes,
                figures=self._due_figures(),
                parts=parts,
            )
        )
        if outcomes:
            failpoints.passing("outcome.told")
        return True

    def run(self) -> None:
        """Send for as long as the mover lives."""
        while True:
            with self._changed:
                self._changed.wait_for(self._has_news, TICK_S if self._running else LULL_S)
                if self._outcomes and not self._requests and self._pressed():
                    self._changed.wait_for(lambda: len(self._outcomes) >= BATCH_ENOUGH or self._requests, GATHER_S)
            self.look_round()
            self.step()

    def look_round(self) -> None:
        """Whether other buckets are silent than were when that was told last."""
        silent = self._silent()
        if silent != self._silent_told:
            self._silent_told = silent
            self.show_figures()

    def _due_figures(self) -> Figures | None:
        """Numbers travel with what is said anyway; a ping makes sure of that when there is nothing to say.

        Whoever wants them of this moment asks: `show_figures`.
        """
        if self._clock_s() - self._figures_told_s < FIGURES_EVERY_S:
            return None
        self._figures_told_s = self._clock_s()
        return self._figures()

    def _has_news(self) -> bool:
        return bool(self._outcomes or self._requests or self._pinged)

    def _due(self) -> list[Running]:
        """Those whose progress is to be told now, which is noted."""
        now_s = self._clock_s()
        due: list[Running] = []
        for running in self._running.values():
            latest = running.latest
            if latest is None or latest is running.told or running.begun_s is None:
                continue
            if now_s - running.begun_s < self._limits.progress_after_s:
                continue
            if running.told is not None and now_s - running.told_s < self._limits.progress_every_s:
                continue
            running.told = latest
            running.told_s = now_s
            due.append(running)
        return due
