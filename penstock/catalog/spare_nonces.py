"""Nonces of reads that could not be written down, kept in memory meanwhile: a full disk must keep nobody from looking.

They are forgotten by a restart, as a power cut forgets the last ones that were written down. Knows no database.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import CatalogUnavailableError, NonceUsedError

SPARE_MAX = 100_000


class SpareNonces:
    """At most `count_max` of them, oldest first."""

    def __init__(self, now_ns: Callable[[], int], *, count_max: int = SPARE_MAX) -> None:
        self._now_ns = now_ns
        self._count_max = count_max
        self._used_ns: dict[str, int] = {}

    def check(self, nonce: str) -> None:
        """Raises NonceUsedError for one that is kept here."""
        if nonce in self._used_ns:
            raise NonceUsedError("this signature nonce was used before")

    def use(self, nonce: str) -> None:
        """Use it up. NonceUsedError; CatalogUnavailableError when too many are kept."""
        self.check(nonce)
        if len(self._used_ns) >= self._count_max:
            raise CatalogUnavailableError("too many calls came while the catalog could not be written; try again later")
        self._used_ns[nonce] = self._now_ns()

    def forget(self, before_ns: int) -> None:
        """Forget those that were used before that time."""
        while self._used_ns:
            oldest = next(iter(self._used_ns))
            if self._used_ns[oldest] >= before_ns:
                return
            del self._used_ns[oldest]
