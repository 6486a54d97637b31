"""What a store's answers are like, as far as it decides how it is asked next. Memory only; calls nobody."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

WHOLE_EVERY = 100
"""While whole objects come without a length, one of so many is asked for whole all the same: what took it away may be gone.
In vain that costs one request and one connection."""


class Manner:
    """What the last answer with a whole object was like; shared by all who ask over the same connections, of whatever thread.

    Of ranges nothing is noted: what is on the way may leave their answers as they are, and cut only the others.
    """

    __slots__ = ("_tells_length", "_turns")

    def __init__(self) -> None:
        self._tells_length = True
        self._turns = itertools.count(1)

    def heard(self, headers: Mapping[str, str]) -> None:
        """A whole object's answer has come, with these headers."""
        self._tells_length = "content-length" in headers

    def asks_whole(self) -> bool:
        """Whether the next small object is to be asked for whole. Where that is in vain, each `WHOLE_EVERY`th call says so."""
        return self._tells_length or next(self._turns) % WHOLE_EVERY == 0
