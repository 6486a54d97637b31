"""What doctor tells: findings, each with a grade and, where something is to be done, how. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How it stands, best first."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


_ORDER = tuple(Grade)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was seen. `mend` is a command, or what to do, where there is something to be done."""

    about: str
    grade: Grade
    words: str
    mend: str = ""


def ok(about: str, words: str) -> Finding:
    """As it should be."""
    return Finding(about=about, grade=Grade.OK, words=words)


def warning(about: str, words: str, mend: str = "") -> Finding:
    """Works now, and will hurt some day, or in some case."""
    return Finding(about=about, grade=Grade.WARNING, words=words, mend=mend)


def problem(about: str, words: str, mend: str = "") -> Finding:
    """Something does not work."""
    return Finding(about=about, grade=Grade.PROBLEM, words=words, mend=mend)


def worst(findings: Iterable[Finding]) -> Grade:
    """The worst grade among them; ok where there are none."""
    return _ORDER[max((_ORDER.index(each.grade) for each in findings), default=0)]


def is_at_least(grade: Grade, least: Grade) -> bool:
    """Whether it is that bad, or worse."""
    return _ORDER.index(grade) >= _ORDER.index(least)


def size_in_words(count_bytes: int) -> str:
    """Bytes for people."""
    amount = float(count_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
