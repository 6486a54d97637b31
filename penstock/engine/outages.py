"""Outages: buckets that answer nothing. One file of each looks again soon; once it is answered, the others wait no longer.

Files that meet an outage wait longer and longer, up to a quarter of an hour, each by itself. So that they need not wait so long
when the bucket is back, one scout a bucket is sent every few seconds, and the first answer that a mover counts makes everything
due that waits for that bucket. A bucket that answers some requests and not others is in no outage: there each file waits by
itself. Memory only; what waits is in the catalog, and a new service looks at all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penstock import telemetry
from penstock.catalog.catalog import Catalog
from penstock.engine.loops import FOREVER_S
from penstock.engine.messages import BucketFigures
from penstock.engine.options import NS_PER_S, RetryOptions, to_ns
from penstock.errors import FailureCode

BATCH_MAX = 500
STORE_OUTAGES = frozenset({FailureCode.STORE_UNAVAILABLE, FailureCode.STORE_THROTTLED})


GIVEN_UP_S = 30.0
"""So long at most who reads from a bucket waits for the next byte, and is tried anew (`stores.timeouts`)."""

REFUSED_KEPT_S = 300.0
"""For so long a bucket is said to be in trouble because of one question in vain; nobody may ask it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Since when a bucket answers nothing, and when it is asked again (at the latest, where an answer is still waited for)."""

    since_ns: int
    look_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What somebody else, who is no mover, has asked of a bucket in vain."""

    at_ns: int
    code: str
    message: str


class _Bucket:
    """One bucket as its movers' figures tell of it. `silent` and `busy` are by mover: since when it hears nothing and when
    it told so last (those only that hear nothing), and whether it has something in flight."""

    __slots__ = ("answered_ns", "answers", "busy", "heard_ns", "is_out", "missed_ns", "refused", "scout_ns", "silent")

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}  # by mover, counted since it began
        self.silent: dict[str, tuple[int, int]] = {}
        self.busy: dict[str, bool] = {}
        self.answered_ns = 0
        self.heard_ns = 0  # when a mover told of answers that are not older than a silence, or somebody else had one
        self.missed_ns = 0  # when a file met the outage first
        self.is_out = False
        self.refused: Refused | None = None
        self.scout_ns = 0  # when the one that looks again is due


class Outages:
    """`missed` and `heard` are called on the event loop; `wake` is called when `step` has something to do."""

    def __init__(
        self, *, catalog: Catalog, options: RetryOptions, now_ns: Callable[[], int], wake: Callable[[], None]
    ) -> None:
        self._catalog = catalog
        self._options = options
        self._now_ns = now_ns
        self._wake = wake
        self._buckets: dict[str, _Bucket] = {}
        self._back: set[str] = set()

    def begin(self, buckets: Iterable[str]) -> None:
        """A service begins: nothing is known of any bucket, so that all that waits for one is looked at once."""
        self._back.update(buckets)

    def missed(self, bucket: str, due_ns: int, least_s: float | None) -> int:
        """A file met an outage and is to be tried again at `due_ns`; returns when really. `least_s`: what the store asked for."""
        now_ns = self._now_ns()
        state = self._buckets.setdefault(bucket, _Bucket())
        if due_ns <= now_ns or now_ns - state.answered_ns < to_ns(self._options.outage_after_s):
            return due_ns
        if not state.is_out:
            state.is_out, state.missed_ns = True, now_ns
        if state.scout_ns > now_ns:
            return due_ns  # another one looks
        soon_ns = now_ns + to_ns(max(self._options.scout_every_s, least_s or 0.0))
        state.scout_ns = min(due_ns, soon_ns)
        return state.scout_ns

    def heard(self, mover: str, figures: Iterable[BucketFigures]) -> None:
        """A mover tells how often each bucket has answered it."""
        for one in figures:
            state = self._buckets.setdefault(one.bucket, _Bucket())
            answers = sum(method.ok + method.refused for method in one.methods)
            if answers > state.answers.get(mover, 0):
                self._answered(one.bucket, state)
                if not one.silent_s:  # else they came before the silence that is told with them
                    state.heard_ns = self._now_ns()
            state.answers[mover] = answers
            if one.silent_s > 0:
                told_ns = self._now_ns()
                since_ns, _ = state.silent.get(mover, (told_ns - to_ns(one.silent_s), 0))  # as it was told first
                state.silent[mover] = since_ns, told_ns
            else:
                state.silent.pop(mover, None)
            state.busy[mover] = one.in_flight > 0

    def asked(self, bucket: str, code: str, message: str) -> None:
        """Somebody else has asked this bucket: in vain, or (no code) it answered."""
        state = self._buckets.setdefault(bucket, _Bucket())
        if code:
            state.refused = Refused(at_ns=self._now_ns(), code=code, message=message)
        else:
            self._answered(bucket, state)
            state.heard_ns = self._now_ns()

    def refused(self) -> dict[str, Refused]:
        """The buckets that somebody has asked in vain lately, and that nobody has heard since."""
        earliest_ns = self._now_ns() - int(REFUSED_KEPT_S * NS_PER_S)
        return {
            bucket: state.refused
            for bucket, state in self._buckets.items()
            if state.refused is not None and state.refused.at_ns > earliest_ns
        }

    def silent(self) -> dict[str, Silence]:
        """The buckets that answer nothing, as soon as that shows: none of the movers that ask hears anything."""
        found: dict[str, Silence] = {}
        now_ns = self._now_ns()
        for bucket, state in self._buckets.items():
            since = [since_ns for since_ns, told_ns in state.silent.values() if told_ns > state.heard_ns]
            is_heard = any(busy and mover not in state.silent for mover, busy in state.busy.items())
            if state.is_out or (since and not is_heard):
                since_ns = min(since, default=state.missed_ns)
                given_up_ns = max(since_ns + int(GIVEN_UP_S * NS_PER_S), now_ns + to_ns(self._options.scout_every_s))
                found[bucket] = Silence(
                    since_ns=since_ns, look_ns=state.scout_ns if state.scout_ns > now_ns else given_up_ns
                )
        return found

    def away(self) -> dict[str, int]:
        """The buckets that answer nothing, and when one file looks at each again."""
        return {bucket: state.scout_ns for bucket, state in self._buckets.items() if state.is_out}

    def died(self, mover: str) -> None:
        """Its counts mean nothing any more."""
        for state in self._buckets.values():
            state.answers.pop(mover, None)
            state.silent.pop(mover, None)
            state.busy.pop(mover, None)

    def _answered(self, bucket: str, state: _Bucket) -> None:
        state.answered_ns = self._now_ns()
        state.scout_ns = 0
        state.refused = None
        if state.is_out:
            state.is_out = False
            self._back.add(bucket)
            self._wake()

    async def step(self) -> float:
        """Make due what waits for buckets that answer again; returns how long nothing has to be done."""
        for bucket in sorted(self._back):
            woken = await self._catalog.wake(bucket, limit=BATCH_MAX)
            if woken:
                telemetry.event("engine.outage_over", bucket=bucket, woken=woken)
            if woken < BATCH_MAX:
                self._back.discard(bucket)
        return 0.0 if self._back else FOREVER_S
