"""The small lane: one loop that takes many small files forward together, and helpers for what would hold the others up.

The loop begins what waits in the line, so that the requests of all its files are under way at once; takes each file on when its
answer is there; and syncs and publishes together what was written meanwhile, so that file system and directory do once what they
would do for every single file. What may take long (a large body, a try again, a connection to be made, a file system whose syncs
are slow) is done by a helper, up to the file's next pause. Where every call of a file system is slow, or may hang because it
waits for another machine, its files go on in hands of their own, side by side. Calls the steps of `transfer`; knows neither store
nor file system.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from penstock.engine.board import Board
from penstock.engine.hands import Hands
from penstock.engine.journey import Ends, Journey, Peer, Reached, ends_of, stepped
from penstock.engine.lines import HELD_UP_LOOK_S, Line
from penstock.engine.messages import MoverLimits
from penstock.engine.pacer import SEEN_S
from penstock.engine.running import Running
from penstock.engine.slowness import Slowness
from penstock.errors import StoreUnavailableError
from penstock.transfer.moment import Moments
from penstock.transfer.steps import Awaited, Pause, Steps
from penstock.transfer.transfer import Outcome, Transfer

LOOK_EVERY_S = 0.25
LATE_S = 60.0  # a store that has not answered by then is not waited for any longer,
LATE_RETRY_S = 10.0  # and the file is tried again so much later: by the engine, for here that would cost a thread
SYNCS_SLOW_S = 0.02  # the first sync of a group may take so long,
SYNC_SLOW_S = 0.003  # and each further one that much, before helpers take their share

BY_HAND = (3, 4)  # that many of so many places may be held by files that go on in hands, for those may hang,
ROOM_EACH = 3  # and a file system gets another one while it has less than so many times what is left of them

Begin = Callable[[Running], Steps[Outcome]]
End = Callable[[list[tuple[Running, Outcome]]], None]
IsFar = Callable[[str], bool]


class Helpers:
    """Threads that each take one file over its next pause, whatever time that takes; no bucket or file system gets all of them.

    A bucket with a file system gets another one only while more are idle than it has, so that alone it gets `count`, and the
    next one still finds some. Files that are to stop count by themselves: they do not wait behind those that are held up. So do
    files whose requests have begun, for they may hold what the others wait for: a place in the pace of their bucket.
    """

    def __init__(self, count: int, give_back: Callable[[Journey, Reached], None]) -> None:
        self._count = count
        self._idle = 2 * count
        self._give_back = give_back
        self._queue: SimpleQueue[tuple[Peer, Journey]] = SimpleQueue()
        self._waiting: dict[Peer, deque[Journey]] = {}
        self._busy: dict[Peer, int] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Bring the threads up."""
        for number in range(self._idle):
            threading.Thread(target=self._work, name=f"small-aside-{number}", daemon=True).start()

    def is_idle_for(self, ends: Ends) -> bool:
        """Whether a file between these that has its answer would be taken up at once."""
        peer = (ends, False, True)
        return peer not in self._waiting and self._busy.get(peer, 0) < self._idle

    def has_room_for(self, ends: Ends) -> bool:
        """Whether not too much between these waits: together with what is being done, twice what can be done."""
        if not self._busy:  # then nobody waits, either
            return True
        peers = ((ends, False, False), (ends, False, True))
        return sum(self._busy.get(peer, 0) + len(self._waiting.get(peer, ())) for peer in peers) < 2 * self._count

    @property
    def is_waited_for(self) -> bool:
        """Whether files wait until a helper is idle."""
        with self._lock:  # while work is being given out some are not in sight
            return bool(self._waiting)

    def let_stopped_ahead(self) -> None:
        """Files that were to stop only while they waited need not wait any longer behind those that go on."""
        with self._lock:
            for peer in [peer for peer in self._waiting if not peer[1]]:
                waiting = self._waiting.pop(peer)
                for journey in waiting:
                    self._waiting.setdefault(journey.peer, deque()).append(journey)
            self._assign()

    def take(self, journey: Journey) -> None:
        """Take this one over its next pause, and give it back."""
        with self._lock:
            self._waiting.setdefault(journey.peer, deque()).append(journey)
            self._assign()

    def _assign(self) -> None:
        """Give work to the idle, one peer after the other."""
        for peer in list(self._waiting):
            waiting = self._waiting.pop(peer)
            while waiting and self._busy.get(peer, 0) < self._idle:
                self._idle -= 1
                self._busy[peer] = self._busy.get(peer, 0) + 1
                self._queue.put((peer, waiting.popleft()))
            if waiting:
                self._waiting[peer] = waiting

    def _work(self) -> None:
        while True:
            peer, journey = self._queue.get()
            reached = stepped(journey)
            while reached is Pause.ASIDE:
                reached = stepped(journey)
            with self._lock:
                self._idle += 1
                self._busy[peer] -= 1
                if not self._busy[peer]:
                    del self._busy[peer]
                self._assign()
            self._give_back(journey, reached)
            del journey, reached  # nothing is held while there is nothing to do


class SmallLane:
    """The loop's thread, its helpers and hands. `begin` gives a file's steps, `end` hears what came of files, `is_far` tells of a
    file system's id, without waiting, whether its calls may hang: the loop makes none of those.

    At most one file a place is under way; the board's first places are ours.
    """

    def __init__(
        self,
        *,
        limits: MoverLimits,
        line: Line,
        board: Board,
        begin: Begin,
        end: End,
        is_far: IsFar,
        clock_s: Callable[[], float],
        moments: Moments,
    ) -> None:
        self._line = line
        self._board = board
        self._free = list(range(limits.small_files))
        self._helpers = Helpers(limits.small_threads, self._give_back)
        self._hands = Hands(limits.small_files, self._give_back, clock_s)
        self._by_hand_max = max(1, limits.small_files * BY_HAND[0] // BY_HAND[1])
        self._under_way: dict[str, int] = {}  # files, by their file system
        self._is_far = is_far
        self._slowness = Slowness(clock_s)
        self._begin = begin
        self._end = end
        self._clock_s = clock_s
        self._poll = select.poll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._bell, select.POLLIN)
        self._sleeps = False
        self._looked_s = 0.0
        self._returned: deque[tuple[Journey, Reached]] = deque()
        self._asking: dict[int, Journey] = {}  # by the descriptor on which the answer will come, oldest first
        self._answered: list[Journey] = []
        self._moments = moments
        self._written: list[Journey] = []
        self._synced: list[Journey] = []
        self._named: list[Journey] = []
        self._ended: list[tuple[Journey, Outcome]] = []
        line.listen(self._wake)

    @property
    def slow_file_systems(self) -> tuple[str, ...]:
        """Those that keep their callers waiting. From any thread."""
        return self._slowness.slow

    def start(self) -> None:
        """Bring all threads up; they live as long as the process."""
        self._helpers.start()
        threading.Thread(target=self._run, name="small", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.step()

    def _wake(self) -> None:
        """There may be something to do. From any thread."""
        if self._sleeps:
            self._sleeps = False
            os.eventfd_write(self._bell, 1)

    def _give_back(self, journey: Journey, reached: Reached) -> None:
        """A helper or a hand has taken it so far. From any thread."""
        self._returned.append((journey, reached))
        self._wake()

    def step(self) -> None:
        """Take everything forward that can be; waits when there is nothing."""
        with self._moments:
            self._take()
        self._listen()
        while self._returned:
            journey, reached = self._returned.popleft()
            if journey.hand_s:
                self._slowness.shown(journey.running.transfer.file_system_id, journey.hand_s)
                journey.hand_s = 0.0
            self._sort(journey, reached)
        answered, self._answered = self._answered, []
        self._go_on(answered)
        self._sync()
        synced, self._synced = self._synced, []
        with self._moments:  # begun after the syncs, which may have taken long
            self._go_on(synced)
        self._sync_names()
        self._tell()

    def _go_on(self, journeys: list[Journey]) -> None:
        for journey in journeys:
            self._advance(journey)

    def _advance(self, journey: Journey) -> None:
        """Take it over its next pause, and learn from that how its file system keeps its callers waiting."""
        file_system = journey.running.transfer.file_system_id
        if not journey.is_far and self._slowness.is_to_be_measured(file_system):
            with self._slowness.measured(file_system):
                reached = stepped(journey)
        elif self._is_by_hand(journey):
            self._hand_on(journey)
            return
        else:
            begun_s = self._clock_s()
            reached = stepped(journey)
            self._slowness.took(file_system, self._clock_s() - begun_s)
        self._sort(journey, reached)

    def _go_over(self, journey: Journey) -> None:
        """Take it over a pause from which nothing is learned: syncs wait on every file system, and what is given up only ends."""
        if self._is_by_hand(journey):
            self._hand_on(journey)
        else:
            self._sort(journey, stepped(journey))

    def _is_by_hand(self, journey: Journey) -> bool:
        """Whether a hand takes it on from here, because its file system is slow or may hang."""
        return journey.is_far or self._slowness.is_slow(journey.running.transfer.file_system_id)

    def _hand_on(self, journey: Journey) -> None:
        if not self._hands.take(journey):
            self._helpers.take(journey)  # the machine gives us no more threads: those are there already

    def _take(self) -> None:
        """Begin what waits, as far as there are places."""
        while self._free:
            running = self._line.take_now(self._may_begin)
            if running is None:
                return
            place = self._free.pop()
            self._board.begin(place, running.number)
            file_system = running.transfer.file_system_id
            self._under_way[file_system] = self._under_way.get(file_system, 0) + 1
            journey = Journey(running, self._begin(running), place)
            journey.is_far = self._is_far(file_system)
            self._advance(journey)

    def _may_begin(self, transfer: Transfer) -> bool:
        """Whether neither its bucket nor its file system holds up too many already."""
        if not self._helpers.has_room_for(ends_of(transfer)):
            return False
        file_system = transfer.file_system_id
        if not self._needs_hands(file_system):
            return True
        held = sum(count for other, count in self._under_way.items() if self._needs_hands(other))
        return self._under_way.get(file_system, 0) < ROOM_EACH * (self._by_hand_max - held)

    def _needs_hands(self, file_system: str) -> bool:
        """Whether files that begin there now go by hand."""
        return self._slowness.is_slow(file_system) or self._is_far(file_system)

    def _sort(self, journey: Journey, reached: Reached) -> None:
        """Put it where it has to wait."""
        if reached is Pause.WRITTEN:
            self._written.append(journey)
        elif reached is Pause.SYNCED:
            self._synced.append(journey)
        elif reached is Pause.NAMED:
            self._named.append(journey)
        elif reached is Pause.ASIDE:
            self._helpers.take(journey)
        elif isinstance(reached, Outcome):
            self._ended.append((journey, reached))
        else:
            self._await(journey, reached)

    def _await(self, journey: Journey, awaited: Awaited) -> None:
        if awaited is not journey.awaited:  # of a body all pieces together have the time of one answer
            journey.asked_s = 0.0
        journey.awaited = awaited
        descriptor = awaited.fileno()
        if descriptor < 0:
            self._answered.append(journey)
            return
        journey.asked_s = journey.asked_s or self._clock_s()
        self._asking[descriptor] = journey
        self._poll.register(descriptor, select.POLLIN)

    def _listen(self) -> None:
        """See which answers are there; wait for one if nothing else can be done."""
        patience_ms = self._patience_ms()
        waits_since_s = self._clock_s() if patience_ms else 0.0
        for descriptor, _ in self._poll.poll(patience_ms):
            if descriptor == self._bell:
                os.eventfd_read(descriptor)
                continue
            journey = self._asking[descriptor]
            if journey.awaited is not None and not journey.awaited.is_there():
                continue  # a piece of it: whoever sends no more holds up nobody but itself
            self._poll.unregister(descriptor)
            del self._asking[descriptor]
            if not self._answered and waits_since_s and self._clock_s() - waits_since_s > SEEN_S and journey.awaited:
                journey.awaited.came()  # the first one only: it goes on at once
            self._answered.append(journey)
        self._sleeps = False
        now_s = self._clock_s()
        if now_s - self._looked_s >= LOOK_EVERY_S and (self._asking or self._helpers.is_waited_for):
            self._looked_s = now_s
            self._part_with(now_s)
            self._helpers.let_stopped_ahead()

    def _patience_ms(self) -> float:
        if self._answered or self._returned or self._ended:
            return 0
        self._sleeps = True  # before the last look, so that nobody who adds something believes this thread awake
        if self._returned:
            return 0
        if len(self._line) and self._free:
            free = len(self._free)
            with self._moments:
                self._take()  # who was added since it was looked there has rung no bell
            if len(self._free) < free:
                return 0
            return HELD_UP_LOOK_S * 1000  # their bucket may not begin another file now
        return LOOK_EVERY_S * 1000 if self._asking or self._helpers.is_waited_for else -1

    def _part_with(self, now_s: float) -> None:
        """Whoever is to stop, or has waited for too long, waits no longer: neither here nor in a helper."""
        for descriptor, journey in list(self._asking.items()):
            bucket = journey.running.transfer.bucket
            if journey.is_given_up:
                error = StoreUnavailableError("the answer was not waited for", bucket=bucket)
            elif now_s - journey.asked_s >= LATE_S:
                words = f"bucket {bucket} gave no answer within {LATE_S:g} s"
                error = StoreUnavailableError(words, bucket=bucket, retry_after_s=LATE_RETRY_S)
            else:
                continue
            self._poll.unregister(descriptor)
            del self._asking[descriptor]
            journey.error = error
            self._go_over(journey)

    def _sync(self) -> None:
        """Sync what was written. The first sync does most of the work for all, where syncs are alike."""
        written, self._written = self._written, []
        slow_s = self._clock_s() + SYNCS_SLOW_S
        for journey in written:
            if not self._is_by_hand(journey):
                slow_s += SYNC_SLOW_S
                if self._clock_s() >= slow_s and self._helpers.is_idle_for(ends_of(journey.running.transfer)):
                    self._helpers.take(journey)
                    continue
            self._go_over(journey)

    def _sync_names(self) -> None:
        """Sync the directories of what has its name; for each of them the first file does it for all."""
        named, self._named = self._named, []
        for journey in named:
            self._go_over(journey)

    def _tell(self) -> None:
        ended, self._ended = self._ended, []
        if not ended:
            return
        self._end([(journey.running, outcome) for journey, outcome in ended])
        for journey, _ in ended:
            file_system = journey.running.transfer.file_system_id
            left = self._under_way.pop(file_system) - 1
            if left:
                self._under_way[file_system] = left
            self._board.end(journey.place)
            self._free.append(journey.place)
