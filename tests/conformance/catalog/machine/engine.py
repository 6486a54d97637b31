"""The rules of the engine and its movers: claims, leases, progress, checkpoints, the ends of attempts, late ones among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from penstock.catalog.verbs import ClaimLane, Demand, Explanation, ProgressUpdate, Settlement, Settling
from penstock.model import FileDetail
from tests.conformance.catalog.machine.callers import PLACES
from tests.conformance.catalog.machine.stand import LEASE_S, Stand, pick
from tests.conformance.catalog.machine.work_model import judge
from tests.fixtures.ledger import SECOND_NS

OWNERS = ("a", "b")
LATE = st.sampled_from([0] * 8 + [1, -1])
SETTLINGS = st.sampled_from([*Settling, Settling.COMPLETE, Settling.LARGE, Settling.RETRY])
BOTH = (ClaimLane.SMALL, ClaimLane.LARGE)
LANES = st.sampled_from([BOTH, BOTH, (ClaimLane.SMALL,), (ClaimLane.LARGE,)])
LIMITS = st.sampled_from([4, 4, 2, 1, 0])
READY = st.sampled_from([ALL_TASKS := 50, ALL_TASKS, 1, 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an attempt ends. `late` is how far its number is from the true one."""

    place: int
    settling: Settling
    late: int
    tidy: bool
    wait_s: int
    size: int
    skipped: bool
    told: bool

    def of(self, sub_task_id: str, attempt: int, now_ns: int) -> Settlement:
        """As the catalog is told."""
        failed = self.settling in {Settling.RETRY, Settling.WAITING, Settling.FAILED, Settling.ABANDONED}
        done = self.size if self.settling is Settling.COMPLETE else self.size // 2
        return Settlement(
            sub_task_id=sub_task_id,
            attempt=attempt - self.late,
            settling=self.settling,
            due_ns=now_ns + self.wait_s * SECOND_NS,
            skipped=self.skipped
            and self.size > 0
            and self.settling is Settling.COMPLETE,  # the audit cannot tell otherwise
            tidy=self.tidy,
            error_code="StoreUnavailable" if failed else "",
            error_message=f"no answer {self.place}" if failed else "",
            bytes_total=self.size,
            bytes_done=done,
            actual_bytes=done,
            moving_ns=done * 3,
            detail=FileDetail(modify_time_ns=5, size_bytes=self.size, checksum=f"crc64:{self.place}")
            if self.told
            else None,
            guarantee="atomic" if self.tidy else "",
            note="not compared" if self.skipped else "",
            checkpoint="{}" if self.tidy else "",
            begun=self.told,
        )


ENDS = st.builds(
    End,
    place=PLACES,
    settling=SETTLINGS,
    late=LATE,
    tidy=st.booleans(),
    wait_s=st.sampled_from([0, 5, 30]),
    size=st.sampled_from([0, 10, 1000]),
    skipped=st.booleans(),
    told=st.booleans(),
)


class Engine(Stand):
    """Whoever works."""

    def demand(self, lane: ClaimLane, ready_max: int, tasks_max: int, limit: int, extra: str) -> Demand:
        """Wants `limit` of each of the first `tasks_max` ready tasks, and of another one."""

        def share(ready: Sequence[str]) -> Sequence[tuple[str, int]]:
            chosen = [(task, limit) for task in sorted(ready)[:tasks_max]]
            return [*chosen, (extra, limit)] if extra else chosen

        return Demand(lane=lane, ready_max=ready_max, share=share)

    def demands_of(self, lanes: Sequence[ClaimLane], ready_max: int, limit: int, place: int) -> list[Demand]:
        """One demand a lane."""
        extra = self.task_at(place)[2] if place % 3 == 0 else ""
        extra = extra if extra in self.ledger.streams else ""
        return [self.demand(lane, ready_max, 1 + place % 3, limit, extra) for lane in lanes]

    @rule(lanes=LANES, ready_max=READY, limit=LIMITS, owner=st.sampled_from(OWNERS), place=PLACES)
    def claim(self, lanes: Sequence[ClaimLane], ready_max: int, limit: int, owner: str, place: int) -> None:
        self.tick()
        demands = self.demands_of(lanes, ready_max, limit, place)
        until_ns = self.ns + LEASE_S * SECOND_NS
        real = self.catalog.claim(demands, owner=owner, lease_until_ns=until_ns)
        self.both(real, lambda claims: judge(self.work, claims, demands, owner, until_ns), lasts=False)

    @precondition(lambda self: self.work.all_claimable())
    @rule(owner=st.sampled_from(OWNERS))
    def claim_all(self, owner: str) -> None:
        """As an engine with nothing else to do."""
        self.claim(BOTH, ALL_TASKS, 4, owner, 2)

    @rule(lanes=LANES, ready_max=READY, limit=LIMITS, owner=st.sampled_from(OWNERS), place=PLACES)
    def claim_ahead(self, lanes: Sequence[ClaimLane], ready_max: int, limit: int, owner: str, place: int) -> None:
        """Leave a demand for whoever brings work first; one that was there is withdrawn."""
        self.tick()
        if self.ahead is not None:
            assert self.ahead.withdraw()
            assert not self.ahead.withdraw()
            self.ahead = None
            if place % 3 == 0:
                return
        self.demands, self.ahead_owner = self.demands_of(lanes, ready_max, limit, place), owner
        self.ahead = self.catalog.claim_ahead(self.demands, owner=owner, lease_ns=LEASE_S * SECOND_NS)

    @precondition(lambda self: self.ledger.leases)
    @rule(owner=st.sampled_from(OWNERS), how=st.sampled_from(["renew", "one", "overdue", "overdue", "all"]))
    def keep_leases(self, owner: str, how: str) -> None:
        """They are made longer, or end: one owner's, those that are overdue, all."""
        self.tick()
        if how == "renew":
            until_ns = self.ns + LEASE_S * SECOND_NS
            real = self.catalog.renew(owner, until_ns)
            self.ledger.seen_ns = self.ns
            self.both(real, lambda _: self.ledger.leases.update({owner: until_ns}), lasts=False)
        elif how == "one":
            self.both(self.catalog.rescue(now_ns=self.ns, owner=owner), self.rescued([owner]))
        elif how == "overdue":
            self.both(self.catalog.rescue(now_ns=self.ns), self.rescued(self.work.overdue()))
        else:
            self.ahead = None  # nobody can have claimed by what was left there
            self.work.hasten()
            self.both(self.catalog.rescue_all(), self.rescued(list(self.ledger.leases)))

    def rescued(self, owners: Sequence[str]) -> Callable[[int], None]:
        """What the model says of it."""

        def expected(freed: int) -> None:
            assert freed == self.work.rescue(owners)

        return expected

    @precondition(lambda self: self.held())
    @rule(ends=st.lists(ENDS, min_size=1, max_size=3))
    def settle(self, ends: list[End]) -> None:
        """Attempts end; some of them had been handed on, or end twice."""
        self.tick()
        settlements = [self.ended(end) for end in ends]
        self.both(self.catalog.settle(settlements), self.settled(settlements))

    @precondition(lambda self: self.held())
    @rule(end=ENDS)
    def settle_one(self, end: End) -> None:
        """As most often."""
        self.settle([end])

    def ended(self, end: End) -> Settlement:
        """The end of an attempt, mostly of one that is under way."""
        anybody = [*self.held(), *self.ledger.files.values()] if end.place % 7 == 6 else self.held()
        file = pick(end.place, anybody)
        assert file is not None
        return end.of(file.sub_task_id, file.attempt, self.ns)

    def settled(self, settlements: Sequence[Settlement]) -> Callable[[Sequence[str]], None]:
        """What the model says of it."""

        def expected(answer: Sequence[str]) -> None:
            assert list(answer) == self.work.settle(settlements)

        return expected

    @precondition(lambda self: self.ledger.files)
    @rule(bucket=st.sampled_from(["u", "v"]), place=PLACES, late=LATE)
    def hear_of_a_bucket(self, bucket: str, place: int, late: int) -> None:
        """It answers again; or it does not, and who withdraws something there says so, or that it waits for its turn."""
        self.tick()
        file = pick(place, self.held()) if place % 2 else None
        if file is None:

            def expected(woken: int) -> None:
                assert woken == self.work.wake(bucket)

            self.both(self.catalog.wake(bucket, limit=100), expected, lasts=False)
        else:
            why = Explanation(
                sub_task_id=file.sub_task_id,
                attempt=file.attempt - late,
                error_code="StoreUnavailable" if bucket == "u" else "WaitingForTurn",
                error_message="away",
            )
            self.both(self.catalog.explain([why]), lambda _: self.work.explain([why]), lasts=False)

    @precondition(lambda self: self.held())
    @rule(updates=st.lists(st.tuples(PLACES, LATE, st.integers(0, 9)), min_size=1, max_size=3))
    def progress(self, updates: list[tuple[int, int, int]]) -> None:
        self.tick()
        if updates[0][0] % 3 == 0:
            self.checkpoint(*updates[0][:2])
            return
        told: list[ProgressUpdate] = []
        for place, late, tenths in updates:
            file = pick(place, self.held())
            assert file is not None
            told.append(
                ProgressUpdate(
                    sub_task_id=file.sub_task_id,
                    attempt=file.attempt - late,
                    bytes_total=1000,
                    bytes_done=100 * tenths,
                    actual_bytes=90 * tenths,
                    moving_ns=7 * tenths,
                    detail=FileDetail(modify_time_ns=place, size_bytes=1000),
                )
            )
        self.both(self.catalog.record_progress(told), lambda _: self.work.progress(told), lasts=False)

    def checkpoint(self, place: int, late: int) -> None:
        """An upload has begun."""
        file = pick(place, self.held())
        assert file is not None
        name, attempt = file.sub_task_id, file.attempt - late
        record = f"upload {place}"
        self.both(self.catalog.checkpoint(name, attempt, record), lambda _: self.work.checkpoint(name, attempt, record))
