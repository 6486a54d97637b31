"""What a store's answers are like, as far as it decides how it is asked next. Plain values; calls nobody."""

from __future__ import annotations


class Manner:
    """What the last answer to a GET was like; shared by all who ask over the same connections."""

    __slots__ = ("tells_length",)

    def __init__(self) -> None:
        self.tells_length = True
