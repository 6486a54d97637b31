"""The rules of what happens by itself: time, clocks that go back, expiry, removal of what is old, restarts, and crashes."""

from __future__ import annotations

import pickle

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.conformance.catalog.machine.callers import PLACES
from tests.conformance.catalog.machine.stand import SOME_NS, Stand
from tests.fixtures.ledger import SECOND_NS

EXPIRY_S = 100
PEACE = 5
"""So many rules at least between two ends: else hardly anything would ever come to one."""
CRASHES = ("power cut", "power cut", "power cut, unheard", "SIGKILL", "SIGKILL, unheard")
SECONDS = st.sampled_from([1, 5, 30, 60, 120])


class Fate(Stand):
    """What nobody asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.ticks

    @rule(seconds=st.sampled_from([1, 1, 5, 5, 30, 60, 120, -30]))
    def time_passes(self, seconds: int) -> None:
        """Or somebody sets the clock back."""
        self.ns += seconds * SECOND_NS
        self.tick()
        for nonce, used_ns in self.ledger.nonces.items():
            self.ledger.nonces[nonce] = min(used_ns, self.ns)

    def expire(self, limit: int) -> None:
        """End what has waited for too long."""
        older_than_ns = self.ns - EXPIRY_S * SECOND_NS

        def expected(expired: int) -> None:
            assert expired == self.ledger.expire(older_than_ns, limit)

        self.both(self.catalog.expire(older_than_ns=older_than_ns, limit=limit), expected)

    @rule(
        history_s=SECONDS,
        tokens_s=SECONDS,
        limit=st.sampled_from([1, 3, 100]),
        how=st.sampled_from(["expire", "prune"]),
    )
    def keep_house(self, history_s: int, tokens_s: int, limit: int, how: str) -> None:
        """As the keeper does, now and then."""
        self.tick()
        if how == "expire":
            self.expire(limit)
        else:
            self.prune(history_s, tokens_s, limit)

    def prune(self, history_s: int, tokens_s: int, limit: int) -> None:
        """Remove what is old, in small batches."""
        history_ns, tokens_ns = self.ns - history_s * SECOND_NS, self.ns - tokens_s * SECOND_NS
        real = self.catalog.prune(
            sub_tasks_before_ns=history_ns, tokens_before_ns=tokens_ns, nonces_before_ns=tokens_ns, limit=limit
        )

        def expected(removed: int) -> None:
            rows = self.ledger.prune(history_ns, limit)
            assert self.forget_tokens(tokens_ns, limit - rows) == removed - rows
            for nonce in [nonce for nonce, used_ns in self.ledger.nonces.items() if used_ns <= tokens_ns]:
                del self.ledger.nonces[nonce]  # it may be used again from now on, or not yet
            self.read_nonces.clear()

        self.both(real, expected)

    def forget_tokens(self, before_ns: int, limit: int) -> int:
        """Take out the tokens that are gone, which are old ones, and as many as there may be; how many."""
        gone = [name for name in self.ledger.tokens if not self.disk.has_token(name)]
        for name in gone:
            assert self.ledger.tokens[name].brought_ns < before_ns, "a young token was forgotten"
        assert len(gone) <= limit
        surely_old = [one for one in self.ledger.tokens.values() if one.latest_ns + SOME_NS < before_ns]
        assert len(gone) >= min(limit, len(surely_old)), "old tokens are kept"
        for name in gone:
            del self.ledger.tokens[name]
        return len(gone)

    @precondition(lambda self: self.ticks - self.begun > PEACE)
    @rule(place=PLACES, torn=st.floats(0, 0.99), how=st.sampled_from(["restart", *CRASHES]))
    def end(self, place: int, torn: float, how: str) -> None:
        """The service ends, in all order or not, and is started again.

        A SIGKILL leaves all that was committed, a power cut what was promised to last and perhaps more. Who did not hear of the
        last call cannot know whether it was committed.
        """
        self.tick()
        self.begun = self.ticks
        if how == "restart":
            self.close()
            self.ledger.seen_ns = self.ns
            self.open()
            return
        least = self.disk.synced if how.startswith("power") else self.disk.last.number
        least = min(least, self.heard_before) if how.endswith("unheard") else least
        self.boots += how.startswith("power")
        self.crash([number for number in self.saved if number >= least], place, torn)
        if how.startswith("power"):
            self.read_nonces.clear()
            self.ledger.doubt()
            self.saved[self.disk.last.number] = self.ledger.saved()

    def crash(self, kept: list[int], place: int, torn: float) -> None:
        """End with one of these commits as the last, go on with what is on the disk then, and with the model of that moment."""
        possible = [number for number in kept if self.disk.can_be_last(self.disk.commits[number])]
        assert possible
        last = possible[place % len(possible)]
        later = self.disk.after(self.disk.commits[last], torn=torn)
        self.do(self.catalog.close())
        self.disk = later
        ledger = pickle.loads(self.saved[last])
        assert isinstance(ledger, type(self.ledger))
        ledger.latest_ns = self.ledger.latest_ns
        self.ledger = ledger
        self.saved, self.promised = {}, 0
        self.ledger.now_ns = self.ns
        self.look_ahead()
        self.open()
        self.saved[self.disk.last.number] = self.ledger.saved()
