"""Looks that are taken before something is made: what was found, what to do about it, and how a page is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LOOK_S = 10.0
"""For how long a file system or a store is asked."""


class Verdict(StrEnum):
    """What one look has found."""

    GOOD = "good"
    WARNS = "warns"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look: what was looked at, what was found, what to do about it, and the command that mends it."""

    name: str
    verdict: Verdict
    words: str
    advice: str = ""
    mend: str = ""


def as_json(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """For the form's script."""
    return [
        {"name": each.name, "verdict": each.verdict, "words": each.words, "advice": each.advice, "mend": each.mend}
        for each in checks
    ]
