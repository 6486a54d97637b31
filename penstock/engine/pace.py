"""The pace of one bucket: how many requests one mover may have in flight there, and how many it may begin in a second.

Two things are listened to. *Latency*: while answers come about as fast as they ever did, and the limit is what holds requests
back, the window grows; when answers grow slower because requests queue, it shrinks gently (the idea of TCP Vegas). Now and then
it is measured anew from a few requests on, so that a queue of our own is never taken for the store's nature: every half minute,
but not before all that is under way was replaced many times, for with parts that take long few requests are a price. *Refusals*:
each round of them cuts window and rate at once; both then return along a cubic curve in time, quickly to just below where they
were refused, slowly past it, quickly again when nothing happens (the idea of TCP CUBIC).

What is measured is how long an answer is waited for. A request that was answered and whose body is still coming queues nowhere:
while nothing is known such bodies do not count, so that a large file's parts need not end before others may begin.

Pure: the clock comes in with every call. Not thread-safe: the turnstile guards it. Plain numbers, no allocation for a request.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

BEGIN_WITH = 4.0
"""Requests in flight before anything is known."""
SAMPLES_ENOUGH = 16
SAMPLES_PLENTY = 32  # to grow by mistake costs little, to shrink by mistake costs speed
SAMPLES_FEW = 4
LONG_S = 1.0
"""Where it takes longer than LONG_S to come to SAMPLES_ENOUGH, SAMPLES_FEW have to do: the others would cost minutes."""
SMOOTHING = 1 / 32
SINKING = 1 / 256
OUTLIER = 4.0  # one slow answer counts as so many usual ones at most
NEAR = 1.3
NEAR_ROUGHLY = 1.6  # of a floor that a few answers tell: with less one lucky round would hold the window down
FAR = 1.7
"""Answers that take up to NEAR times the floor let the window grow, beyond FAR times they shrink it."""
OWN_QUEUE = 2.0
"""So many requests of ours may queue whatever the latency: else who came first would keep those who come later at one."""
SLACK_S = 0.005  # nobody gains from sparing a store that answers within a few milliseconds, and there it would be noise
EASE_LEAST, EASE_MOST = 0.9, 0.7
EPOCH_S = 30.0
EPOCH_ROUNDS = 32
"""Measuring anew takes some two rounds of answers with few in flight: it comes every EPOCH_S, but not before so many rounds."""

CUT_TO = 0.7
CUT_EVERY_S = 1.0  # stores count in seconds: what is refused until the next one begins is still the same wish
RETURN_S = 4.0
"""Seconds after a refusal until window and rate are back at what was refused."""
RATE_SPAN_S = 0.5
RATE_FORGOTTEN = 64.0
"""So many times what was refused, and nothing was since: the store has no such limit any more, and there is none here."""
RATE_LEAST_PER_S = 1.0
BURST_S = 0.05  # what was not used for so long may be made up for
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0


class _Latency:
    """What one kind of request usually takes, and what it took when few were in flight.

    `near` is how far from that floor is near to it. `before_s` is the least floor since it was measured with nothing under way.
    `since_s` is when the first request of those counted began.
    """

    __slots__ = ("before_s", "count", "floor_s", "near", "since_s", "usual_s")

    def __init__(self) -> None:
        self.count = 0
        self.usual_s = 0.0
        self.floor_s = math.inf
        self.before_s = math.inf
        self.near = NEAR
        self.since_s = 0.0

    def forget(self) -> None:
        """What is decided next is decided by answers to what begins from now on."""
        self.count = 0
        self.usual_s = 0.0

    def begin_epoch(self) -> None:
        """Its floor is measured anew."""
        self.forget()
        self.before_s = min(self.before_s, self.floor_s)
        self.floor_s = math.inf

    def hear(self, latency_s: float, now_s: float) -> bool:
        """One more answer; whether there were enough of them to decide by."""
        if self.count == 0:
            self.since_s = now_s - latency_s
        self.count += 1
        if self.count > SAMPLES_ENOUGH:
            latency_s = min(latency_s, OUTLIER * self.usual_s)
            self.usual_s += (latency_s - self.usual_s) * SMOOTHING
        else:  # the plain mean, so that the first one does not weigh more than the others
            self.usual_s += (latency_s - self.usual_s) / self.count
            if self.count < SAMPLES_FEW or (self.count < SAMPLES_ENOUGH and now_s - self.since_s < LONG_S):
                return False
        if self.floor_s == math.inf:
            self.floor_s = self.usual_s
            self.near = NEAR if self.count >= SAMPLES_ENOUGH else NEAR_ROUGHLY
        elif self.usual_s < self.floor_s:
            self.floor_s += (self.usual_s - self.floor_s) * SINKING  # slowly: luck is no floor
        return True

    def is_odd(self, latency_s: float) -> bool:
        """Whether this answer, or the floor that was just found, was slow enough that bodies under way may be why."""
        if self.floor_s < math.inf:
            return self.floor_s > self.before_s * NEAR + SLACK_S
        return self.count >= SAMPLES_FEW and latency_s > OUTLIER * self.usual_s + SLACK_S


class Pace:
    """One bucket's. `most` is how many requests may be in flight at best (connections)."""

    __slots__ = (
        "_accepted", "_accepted_before", "_bodies_most", "_cut_s", "_eased_s", "_epoch_answers", "_epoch_s", "_full_s",
        "_heard_s", "_is_climbing", "_knee", "_knee_per_s", "_latencies", "_most", "_next_s", "_peak", "_span_s", "_streak",
        "_unanswered", "_until_s", "_usual_s", "_window", "in_flight", "pause_s",
    )  # fmt: skip

    def __init__(self, *, most: int, now_s: float) -> None:
        self.in_flight = 0
        self._full_s = -math.inf  # when the window was last used up
        self.pause_s = 0.0  # all pauses so far
        self._most = float(most)
        self._window = min(BEGIN_WITH, self._most)
        self._is_climbing = True
        self._epoch_s = now_s
        self._epoch_answers = 0
        self._unanswered = 0  # about: who gave up waiting is not always told of
        self._bodies_most = float(
            SAMPLES_ENOUGH
        )  # what may be in flight, bodies and all, while nothing is known; 0: it is
        self._eased_s = -math.inf
        self._latencies: dict[Hashable, _Latency] = {}
        self._cut_s = -math.inf
        self._heard_s = -math.inf
        self._knee = math.inf
        self._knee_per_s = math.inf
        self._next_s = -math.inf
        self._until_s = -math.inf
        self._streak = 0
        self._span_s = now_s
        self._accepted = 0
        self._accepted_before = 0
        self._peak = 0
        self._usual_s = 0.0  # over all kinds

    # ---------------------------------------------------------------------------------------------------------- asking

    def window(self, now_s: float) -> float:
        """How many requests may be in flight now, at least 1."""
        return (
            max(1.0, min(self._window, self._knee * self._returned(now_s))) if self._knee < math.inf else self._window
        )

    def rate_per_s(self, now_s: float) -> float:
        """How many requests may begin in a second now; infinite where the store has refused none, or none for long."""
        if self._knee_per_s == math.inf:
            return math.inf
        return self._bound_per_s(now_s) if self._returned(now_s) < RATE_FORGOTTEN else math.inf

    def paused_s(self, now_s: float) -> float:
        """For how long nothing may begin."""
        return max(0.0, self._until_s - now_s)

    def wait_s(self, now_s: float, spared: int = 0) -> float:
        """0 when a request may begin now; else for how long to wait before asking again, infinite when one has to end first.

        `spared` of those in flight do not count: they keep the store waiting, not it them.
        """
        if now_s < self._until_s:
            return self._until_s - now_s
        in_flight = self.in_flight - spared
        if in_flight > 0 and in_flight + 1 > self.window(now_s) and not self._may_pass_bodies(now_s):
            return math.inf
        return max(0.0, self._next_s - now_s)

    def due_s(self, now_s: float) -> float:
        """The same, however many are in flight."""
        return max(0.0, self._until_s - now_s, self._next_s - now_s)

    def begin(self, now_s: float) -> None:
        """A request begins."""
        self.in_flight += 1
        self._unanswered += 1
        if self.in_flight + 1 > self._window:
            self._full_s = now_s
        self._peak = max(self._peak, self.in_flight)
        if self._knee_per_s < math.inf:
            self._next_s = max(self._next_s, now_s - BURST_S) + 1 / self.rate_per_s(now_s)

    def end(self) -> None:
        """A request has ended, body and all."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._unanswered = 0

    # --------------------------------------------------------------------------------------------------------- hearing

    def accepted(self, kind: Hashable, *, latency_s: float | None, began_s: float, now_s: float) -> None:
        """The store does what it was asked. `latency_s` is None when nobody was there to see the answer come."""
        self.unawaited()
        self._accepted += 1
        self._epoch_answers += 1
        self._streak = 0
        if now_s - self._span_s >= RATE_SPAN_S:
            self._turn_span(now_s)
        if now_s - self._epoch_s >= EPOCH_S and self._epoch_answers >= EPOCH_ROUNDS * self._window:
            self._begin_epoch(now_s)
        if began_s < self._eased_s:
            return  # it tells of a queue that was already answered to
        if latency_s is None:
            # It was there before anybody looked: the store is quicker than we are, and more at once makes no queue there.
            if self._full_s >= began_s or self._is_used_up(now_s):  # such answers are told many at once
                self._window = min(self._most, self._window + 1 / self._window)
            return
        self._usual_s += (latency_s - self._usual_s) * (SMOOTHING if self._usual_s else 1.0)
        latency = self._latencies.get(kind)
        if latency is None:
            latency = self._latencies[kind] = _Latency()
        is_told = latency.hear(latency_s, now_s)
        if self._bodies_most and latency.is_odd(latency_s):
            self._measure_without_bodies(now_s)
        elif is_told:
            self._judge(latency, latency_s, began_s, now_s)

    def refused(self, *, retry_after_s: float | None, began_s: float, now_s: float) -> None:
        """The store asks to slow down. What had begun before the last refusal was heard is the same wish.

        The first one of a row pauses nothing: a store that only allows so many at once would stand idle meanwhile.
        """
        self.unawaited()
        if retry_after_s:
            self._pause(retry_after_s, now_s)
        if began_s < self._heard_s:
            return
        self._heard_s = now_s
        self._streak += 1
        if self._streak > 1:
            self._pause(FIRST_PAUSE_S * 2.0 ** min(self._streak - 2, 16), now_s)
        if now_s >= self._cut_s + CUT_EVERY_S:
            self._cut(now_s)

    def failed(self, *, began_s: float, now_s: float) -> None:
        """No answer, or a defect of the store: it may have too much to do."""
        self.unawaited()
        if began_s >= self._eased_s:
            self._ease(EASE_MOST, now_s)

    def unawaited(self) -> None:
        """One answer less is waited for: it came, or nobody waits any longer."""
        self._unanswered = max(0, self._unanswered - 1)

    def held_back(self, *, began_s: float, now_s: float) -> None:
        """The store did as asked, and says that it kept the request waiting on purpose: one request less for each round."""
        if began_s >= self._eased_s:
            window = min(self.window(now_s), float(self.in_flight))
            self._ease(max(EASE_MOST, 1 - 1 / max(1.0, window)), now_s)

    # ---------------------------------------------------------------------------------------------------------- within

    def _judge(self, latency: _Latency, latency_s: float, began_s: float, now_s: float) -> None:
        """Grow, shrink or stay after an answer."""
        if self._bodies_most:  # what is in flight, bodies and all, does no harm
            self._window = min(self._most, max(self._window, float(self.in_flight)))
            self._bodies_most = 0.0
        floor_s, usual_s = latency.floor_s, latency.usual_s
        near_s = floor_s * latency.near + SLACK_S
        is_near = usual_s <= near_s
        if is_near or self._window * (1 - floor_s / usual_s) <= OWN_QUEUE:
            # Long ones end many at once, and it takes a while until others have begun in their places.
            if self._is_used_up(now_s) or (latency_s >= LONG_S and self._full_s >= began_s):
                is_quick = self._is_climbing and is_near and latency_s <= near_s  # the usual is late to tell of a queue
                self._window = min(self._most, self._window + (1.0 if is_quick else 1 / self._window))
        elif usual_s > floor_s * FAR + SLACK_S and latency.count >= SAMPLES_PLENTY:
            # Never below what it began with: slow answers may as well come of a busy machine, ours or the store's.
            factor = max(EASE_MOST, min(EASE_LEAST, FAR * floor_s / usual_s))
            self._ease(factor, now_s, least=min(self._window, BEGIN_WITH))

    def _may_pass_bodies(self, now_s: float) -> bool:
        """While nothing is known: whether few answers are waited for, however many bodies are coming."""
        if self.in_flight + 1 > min(self._bodies_most, self._most, self._knee * self._returned(now_s)):
            return False
        return min(self._unanswered, self.in_flight) + 1 <= BEGIN_WITH

    def _is_used_up(self, now_s: float) -> bool:
        """Whether the window lets no more begin. An answer without a body was over, and not in flight, before it was told."""
        return self.in_flight + 2 > self.window(now_s)

    def _returned(self, now_s: float) -> float:
        """How much of what was refused is allowed again: CUT_TO at once, 1 after RETURN_S, then more and more."""
        beyond = (now_s - self._cut_s - RETURN_S) / RETURN_S
        return 1 + (1 - CUT_TO) * beyond * beyond * beyond

    def _bound_per_s(self, now_s: float) -> float:
        """What was refused and came back since, at most to where it is forgotten; infinite where nothing ever was."""
        return max(RATE_LEAST_PER_S, self._knee_per_s * min(RATE_FORGOTTEN, self._returned(now_s)))

    def _cut(self, now_s: float) -> None:
        rate_per_s = self._bound_per_s(now_s)
        if self._usual_s:  # before anything was accepted there is nothing to tell a rate from
            knee_per_s = self._counted_per_s(now_s)
            if (
                rate_per_s == math.inf
            ):  # too early to have counted much: what would come of as many in flight all the time
                knee_per_s = max(knee_per_s, (self.in_flight - 1) / self._usual_s)
            else:  # after a pause too little was accepted: one cut takes three quarters at most
                knee_per_s = max(rate_per_s / 4, min(rate_per_s, knee_per_s))
            self._knee_per_s = max(RATE_LEAST_PER_S, knee_per_s)
        self._knee = max(2.0, min(self.window(now_s), float(self._peak)))
        self._cut_s = now_s
        self._is_climbing = False
        self._bodies_most = 0.0

    def _ease(self, factor: float, now_s: float, *, least: float = 1.0) -> None:
        self._window = max(least, min(self._window, max(1.0, float(self.in_flight))) * factor)
        self._is_climbing = False
        self._bodies_most = 0.0
        self._eased_s = now_s
        for latency in self._latencies.values():
            latency.forget()

    def _begin_epoch(self, now_s: float) -> None:
        """Measure anew, with few answers waited for."""
        self._bodies_most = max(float(SAMPLES_ENOUGH), self._window)
        self._latencies = {kind: latency for kind, latency in self._latencies.items() if latency.count}
        for latency in self._latencies.values():
            latency.begin_epoch()
        self._measure(now_s)

    def _measure_without_bodies(self, now_s: float) -> None:
        """Answers became slow while bodies were coming: measure with few in flight, bodies and all."""
        self._bodies_most = 0.0
        self._latencies.clear()
        self._measure(now_s)

    def _measure(self, now_s: float) -> None:
        self._epoch_s = now_s
        self._epoch_answers = 0
        self._window = min(self._window, BEGIN_WITH)
        self._is_climbing = True
        self._eased_s = now_s

    def _pause(self, pause_s: float, now_s: float) -> None:
        until_s = now_s + min(LONGEST_PAUSE_S, pause_s)
        if until_s > self._until_s:
            self.pause_s += until_s - max(now_s, self._until_s)
            self._until_s = until_s

    def _turn_span(self, now_s: float) -> None:
        stale = now_s - self._span_s >= 2 * RATE_SPAN_S
        self._accepted_before = 0 if stale else self._accepted
        self._accepted = 0
        self._span_s = now_s
        self._peak = self.in_flight

    def _counted_per_s(self, now_s: float) -> float:
        """What the store has accepted in a second lately."""
        since_s = now_s - self._span_s
        if since_s >= RATE_SPAN_S:
            return self._accepted / since_s
        return (self._accepted_before + self._accepted) / (RATE_SPAN_S + since_s)
