"""The part pool: a few threads shared by all large files of a mover, handed out part by part so that no file starves another.

The file that has been served the fewest bytes is served next (deficit round robin by bytes, without a quantum). A peer that
keeps its parts waiting cannot hold all threads while files of other peers are there; where it held them all before those came,
because it fell silent in the middle of its parts, they get some more. Each thread
owns one buffer that is made once and used again, so memory is workers times buffers whatever the sizes of files. How many
threads work is found out by trial (`width`): a store far away needs more connections than one next door. Knows nothing
of stores and files: a job is a size and a callable.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from penstock.errors import StoppedError
from penstock.transfer.width import Width

_LOOK_EVERY_S = 0.1
_HELD_LOOK_S = 0.05
_SPARE_FRACTION = 5  # while there are others, one place in so many, and at least one, is left to them
STUCK_S = 1.0
"""A part of which nothing has moved for so long costs nothing but its place, which another peer's part may have, too."""


class Workspace:
    """A worker's own buffer, and what it has moved. Only valid within the job that it is handed to."""

    def __init__(self, buffer_bytes: int) -> None:
        # Of its own pages: disks take bytes past the page cache only from where a page begins.
        self._buffer = memoryview(mmap.mmap(-1, buffer_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self.moved_bytes = 0

    def buffer(self) -> memoryview:
        """The buffer, of the pool's `buffer_bytes`; it begins where a page does."""
        return self._buffer

    def moved(self, count: int) -> None:
        """So many bytes more went over the network: by this the pool finds out how many parts at once are best."""
        self.moved_bytes += count


class _Worker:
    """One thread's workspace, whose part it is at (None: nobody's), and since when nothing of that has moved."""

    __slots__ = ("is_stuck", "peer", "seen_bytes", "since_s", "workspace")

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.peer: Hashable = None
        self.is_stuck = False
        self.since_s: float | None = None
        self.seen_bytes = 0

    def begin(self, peer: Hashable) -> None:
        self.peer, self.since_s, self.is_stuck = peer, None, False

    def end(self) -> None:
        self.peer, self.is_stuck = None, False

    def look(self, now_s: float) -> None:
        """Whether it is stuck: looked at from outside, so that it costs nothing where bytes move."""
        if self.peer is None:
            return
        moved = self.workspace.moved_bytes
        if self.since_s is None or moved != self.seen_bytes:
            self.since_s, self.seen_bytes = now_s, moved
        self.is_stuck = now_s - self.since_s >= STUCK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PartJob:
    """One part's work; `size_bytes` is what fairness counts."""

    size_bytes: int
    work: Callable[[Workspace], None]


class _Line:
    """The jobs of one file that wait, and what has been served of it. Guarded by the pool's lock.

    Jobs are made when they are taken, save the next one: a file of a TiB has ten thousand.
    """

    def __init__(
        self, jobs: Iterable[PartJob], served_bytes: int, peer: Hashable, admit: Callable[[int], bool]
    ) -> None:
        self.peer = peer
        self.admit = admit
        self._jobs = iter(jobs)
        self.next = next(self._jobs, None)
        self.served_bytes = served_bytes
        self.running = 0
        self.error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return self.next is None and not self.running

    def take(self) -> PartJob | None:
        job = self.next
        if job is not None:
            self.next = next(self._jobs, None)
            self.served_bytes += job.size_bytes
            self.running += 1
        return job

    def drop(self, error: BaseException) -> None:
        self._jobs, self.next = iter(()), None
        if self.error is None:
            self.error = error


class PartPool:
    """`workers` threads, up to `workers_max` where that makes it faster by `clock_s` (seconds, from anywhere), and at most
    `workers` more for other peers while one is stuck.

    `run` may be called from many threads at once, one call a file.
    """

    def __init__(
        self,
        workers: int,
        *,
        workers_max: int = 0,
        buffer_bytes: int = 1 << 20,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changed = threading.Condition()
        self._lines: list[_Line] = []
        self._closed = False
        self._buffer_bytes = buffer_bytes
        self._clock_s = clock_s
        self._width = Width(least=workers, most=workers_max)
        self._lent_max = workers
        self._running = 0
        self._is_held = False  # a part could begin, if its dataflow had not moved so much already
        self._workers: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._widen()

    @property
    def workers(self) -> int:
        """How many parts can move at the same time, now."""
        return self._width.now

    @property
    def workers_max(self) -> int:
        """How many can at best."""
        return self._width.most

    def run(
        self,
        jobs: Iterable[PartJob],
        *,
        peer: Hashable = "",
        look: Callable[[], None] = lambda: None,
        admit: Callable[[int], bool] = lambda _: True,
    ) -> None:
        """Do all jobs of one file; returns when none of them runs any more.

        After the first job that raises, those still waiting are dropped, and its error is raised here. A job is expected to
        look now and then whether a sibling failed. `peer` is between whom the parts are exchanged. `look` is called
        now and then while jobs wait behind other files' parts; what it raises ends the waiting as a failed job does.
        `admit` says whether a part of so many bytes may begin now; while it may not, threads serve other files. Raises
        StoppedError when the pool was closed meanwhile.
        """
        with self._changed:
            floor = min((line.served_bytes for line in self._lines), default=0)
            line = _Line(jobs, floor, peer, admit)  # a newcomer has no claim on the past
            if self._closed:
                raise StoppedError("the part pool is closed")
            self._lines.append(line)
            self._changed.notify_all()
        try:
            self._wait(line, look)
        finally:
            with self._changed:
                self._lines.remove(line)
        if line.error is not None:
            raise line.error

    def _wait(self, line: _Line, look: Callable[[], None]) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: line.is_over, _LOOK_EVERY_S):
                    return
                self._steer()
            try:
                look()  # outside of the lock: it asks the mover
            except BaseException as error:  # noqa: BLE001  (raised by `run` once no job of this file runs any more)
                with self._changed:
                    line.drop(error)

    def close(self) -> None:
        """Drop what waits, let what runs end, end the threads."""
        with self._changed:
            self._closed = True
            for line in self._lines:
                line.drop(StoppedError("the part pool is closed"))
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # ---------------------------------------------------------------------------------------------------------- workers

    def _steer(self) -> None:
        """Ask for another width where parts wait although all places are taken, and lend places of parts that are stuck.

        Holds the lock.
        """
        if self._closed:
            return
        now_s = self._clock_s()
        for worker in self._workers:
            worker.look(now_s)
        if self._running < self._width.now or all(line.next is None for line in self._lines):
            self._width.rested()
            return
        is_other = self._width.look(now_s, sum(worker.workspace.moved_bytes for worker in self._workers))
        if is_other or any(line.next is not None and self._lent_to(line.peer) for line in self._lines):
            self._widen()

    def _lent_to(self, peer: Hashable) -> int:
        """How many places of others, whose parts are stuck, this one's parts may have besides. Holds the lock."""
        stuck = sum(1 for worker in self._workers if worker.is_stuck and worker.peer != peer)
        return min(stuck, self._lent_max)

    def _widen(self) -> None:
        """Start the threads that are missing, wake those that may go on; one too many ends no part, it only takes none."""
        lent = max((self._lent_to(line.peer) for line in self._lines if line.next is not None), default=0)
        while len(self._threads) < self._width.now + lent:
            worker = _Worker(Workspace(self._buffer_bytes))
            self._workers.append(worker)
            name = f"part-{len(self._threads)}"
            thread = threading.Thread(target=self._serve, args=(worker,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        with self._changed:
            self._changed.notify_all()

    def _serve(self, worker: _Worker) -> None:
        while (taken := self._take(worker)) is not None:
            line, job = taken
            error: BaseException | None = None
            try:
                job.work(worker.workspace)
            except BaseException as caught:  # noqa: BLE001  (carried to the file's own thread, raised there)
                error = caught
            with self._changed:
                worker.end()
                line.running -= 1
                self._running -= 1
                if error is not None:
                    line.drop(error)
                if line.is_over:
                    self._changed.notify_all()
            del line, job, taken, error

    def _take(self, worker: _Worker) -> tuple[_Line, PartJob] | None:
        with self._changed:
            while True:
                line = self._next_line()
                job = None if line is None else line.take()
                if line is not None and job is not None:
                    self._running += 1
                    worker.begin(line.peer)
                    return line, job
                if self._closed:
                    return None
                self._changed.wait(_HELD_LOOK_S if self._is_held else None)

    def _next_line(self) -> _Line | None:
        """Whose part is next: a peer's that holds no thread, else the file's that was served least. Holds the lock."""
        self._is_held = False
        room = self._width.now - self._running
        if room <= 0 and not any(worker.is_stuck for worker in self._workers):
            return None
        held = Counter[Hashable]()
        for line in self._lines:
            if not line.is_over:
                held[line.peer] += line.running
        width = self._width.now
        most = width if len(held) < 2 else max(1, width - max(1, width // _SPARE_FRACTION))
        waiting = (
            line
            for line in self._lines
            if line.next is not None and held[line.peer] < most and room + self._lent_to(line.peer) > 0
        )
        for line in sorted(waiting, key=lambda line: (held[line.peer] > 0, line.served_bytes)):
            if line.next is not None and line.admit(line.next.size_bytes):
                return line
            self._is_held = True
        return None
