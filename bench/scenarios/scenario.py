"""What a scenario is: the files it needs, and the function that measures. Plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.stage import Stage

Row = dict[str, Any]
Found = dict[str, list[Row]]
"""Rows by the name of the scenario they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the command line asks for: `only` these peers (empty: all), with these settings, no new round after `limit_s`."""

    only: frozenset[str] = frozenset()
    settings: Mapping[str, int] = field(default_factory=dict)
    limit_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question, or several that one run answers: `measure` is told which names are wanted. `sets` are files it needs."""

    measure: Callable[[Stage, Choices, Sequence[str]], Found]
    sets: tuple[str, ...] = ()
    calm: bool = False
    """Whether it makes so many files that inodes freed lately by others would be paid for."""
