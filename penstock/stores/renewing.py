"""Credentials that end, and are asked for anew ahead of that; and the signer that signs with those of the moment.

Calls a source, one thread at a time: while what is kept still holds, others go on with it, and a source that is out of order does
no harm yet. Nothing is retried here: who finds nothing that holds raises, and the engine waits. Only the end that a document
tells is a time of the clock; what else was noted counts for as long as it says, and not once the clock was set back behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from penstock.errors import StoreError, StoreUnavailableError
from penstock.model import Credentials
from penstock.stores.addressing import UnsignedRequest
from penstock.stores.exchange import Signer
from penstock.stores.temporary import Temporary

SECOND_NS = 10**9
AHEAD_NS = 300 * SECOND_NS
"""Anew so long before the end, but not before half of the time has passed."""
ASK_AGAIN_NS = 10 * SECOND_NS
"""A source that has nothing newer, or nothing at all, is asked again after an eighth of what is left, but not before so long."""
REFUSED_AGAIN_NS = SECOND_NS
"""While nothing holds, whoever comes within this time is told the same without asking the source."""
PATIENCE_S = 30.0
"""Nobody waits longer than this for the thread that asks."""


class Source(Protocol):
    """Where credentials come from. `place` names it in sentences; nothing of it is secret."""

    place: str
    look_every_ns: int | None
    """How often it is looked at whether it has others; None: only ahead of the end."""

    def fetch(self) -> Temporary:
        """What it has now. Bounded in time and size. Raises StoreUnavailableError, PermissionDeniedError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What was fetched, replaced as a whole. `got_ns` is when the source was asked, `renew_ns` when it is to be asked again."""

    credentials: Credentials
    expires_ns: int
    got_ns: int
    renew_ns: int

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the source need not be asked. A clock behind `got_ns` was set back; a little behind is another thread's."""
        return self.got_ns - ASK_AGAIN_NS < now_ns < self.renew_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """Why there was nothing, and when that was."""

    error: StoreError
    at_ns: int


class Renewing:
    """Credentials by the time at which they are needed. Thread-safe; one for each source, shared by its buckets."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._refused: _Refused | None = None

    @property
    def place(self) -> str:
        """Where they come from."""
        return self._source.place

    def at(self, now_ns: int) -> Credentials:
        """Those that hold now. Raises StoreUnavailableError, PermissionDeniedError."""
        kept = self._kept
        if kept is not None and kept.is_fresh(now_ns):
            return kept.credentials
        return self._renewed(now_ns)

    def doubt(self, credentials: Credentials, now_ns: int) -> None:
        """A store refused these: ask the source before they are used again, unless it was asked just now."""
        with self._lock:
            kept = self._kept
            if kept is not None and kept.credentials == credentials and abs(now_ns - kept.got_ns) >= ASK_AGAIN_NS:
                self._kept = _Kept(
                    credentials=kept.credentials, expires_ns=kept.expires_ns, got_ns=kept.got_ns, renew_ns=now_ns
                )

    def _renewed(self, now_ns: int) -> Credentials:
        kept = self._kept
        holds = kept is not None and now_ns < kept.expires_ns
        if not self._lock.acquire(timeout=0 if holds else PATIENCE_S):
            if kept is not None and holds:
                return kept.credentials  # another thread asks
            raise StoreUnavailableError(f"{self.place} does not answer, and there are no credentials without it")
        try:
            kept = self._kept
            if kept is not None and kept.is_fresh(now_ns):
                return kept.credentials
            return self._asked(kept, now_ns)
        finally:
            self._lock.release()

    def _asked(self, kept: _Kept | None, now_ns: int) -> Credentials:
        holds = kept is not None and now_ns < kept.expires_ns
        if not holds and self._refused is not None and abs(now_ns - self._refused.at_ns) < REFUSED_AGAIN_NS:
            raise _again(self._refused.error)
        try:
            found = self._source.fetch()
            if found.expires_ns <= now_ns:
                raise self._expired(found.expires_ns)
        except StoreError as error:
            if kept is None or not holds:
                self._refused = _Refused(error=error, at_ns=now_ns)
                raise
            found = Temporary(credentials=kept.credentials, expires_ns=kept.expires_ns)
        credentials = found.credentials
        if kept is not None and kept.credentials == credentials:
            credentials = kept.credentials  # the very same: signers see at a glance that nothing has changed
        self._refused = None
        self._kept = _Kept(
            credentials=credentials,
            expires_ns=found.expires_ns,
            got_ns=now_ns,
            renew_ns=self._renew_ns(found.expires_ns, now_ns),
        )
        return credentials

    def _renew_ns(self, expires_ns: int, now_ns: int) -> int:
        left_ns = expires_ns - now_ns
        ahead_ns = expires_ns - min(AHEAD_NS, left_ns // 2)
        if left_ns <= AHEAD_NS:  # the source has nothing newer, or gives for minutes only
            ahead_ns = min(now_ns + max(ASK_AGAIN_NS, left_ns // 8), expires_ns)
        every_ns = self._source.look_every_ns
        return ahead_ns if every_ns is None else min(ahead_ns, now_ns + every_ns)

    def _expired(self, expires_ns: int) -> StoreUnavailableError:
        moment = datetime.fromtimestamp(expires_ns // SECOND_NS, UTC)
        return StoreUnavailableError(
            f"the credentials of {self.place} have expired ({moment:%Y-%m-%dT%H:%M:%SZ}), and it has no newer ones: "
            "see to what renews them"
        )


def _again(error: StoreError) -> StoreError:
    """The same error for another thread."""
    return type(error)(str(error), retry_after_s=error.retry_after_s)


class RenewingSigner:
    """Signs with whatever credentials hold at the moment; a signer is made anew only when they are others."""

    def __init__(self, renewing: Renewing, signer_of: Callable[[Credentials], Signer]) -> None:
        self._renewing = renewing
        self._signer_of = signer_of
        self._known: tuple[Credentials, Signer] | None = None  # one value, replaced as a whole

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]:
        """The request's headers, completed by those of the signature. Raises StoreUnavailableError, PermissionDeniedError."""
        credentials = self._renewing.at(now_ns)
        known = self._known
        if known is None or known[0] is not credentials:
            known = self._known = (credentials, self._signer_of(credentials))
        return known[1].sign(request, now_ns)

    def refused(self, now_ns: int) -> None:
        """The store took the credentials for wrong."""
        known = self._known
        if known is not None:
            self._renewing.doubt(known[0], now_ns)
