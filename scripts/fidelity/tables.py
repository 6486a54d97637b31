"""The tables beside this module, and the rules of the page, as data. Reads files of the project, and judges nothing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fidelity.md"
HERE = Path(__file__).parent
ANY = "*"
_RULE = re.compile(r"^\| ([A-Z]+(?:-[A-Z]+)*-\d+) \|")
_CELLS = 6
_STATUS_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the page's hand-written tables."""

    rule_id: str
    behaviour: str
    answer: str
    origin: str
    where: str
    tested: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal that the vendor documents; `operation` is ANY where every operation may answer it."""

    operation: str
    code: str
    status: int
    page: str
    impossible: str  # why it cannot occur here, "" where it can


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A documented limit: what, how much, where from, and the rule that says what is beyond it ("" where it is not kept)."""

    what: str
    value: str
    origin: str
    page: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Where operations, parameters and fields come from (names.toml)."""

    pages: Mapping[str, str]
    origins: Mapping[str, tuple[str, str]]  # by operation: origin and page
    sdk_only: frozenset[str]
    parameters: Mapping[str, str]
    filters: Mapping[str, str]
    steps: Mapping[str, str]
    never_filled: Mapping[str, Mapping[str, str]]
    strict: Mapping[str, str]  # by the rule of an extension: what strict fidelity makes of it


def rules(page: str) -> list[Rule]:
    """The rules on the page, in order. A rule's last cell, the tests, is not written by hand."""
    found = []
    for line in page.splitlines():
        if _RULE.match(line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            cells += [""] * (_CELLS - len(cells))
            found.append(
                Rule(
                    rule_id=cells[0],
                    behaviour=cells[1],
                    answer=cells[2],
                    origin=cells[3],
                    where=cells[4],
                    tested=cells[5],
                )
            )
    return found


def refusals() -> list[Refusal]:
    """Every documented refusal of every operation."""
    found = tomllib.loads((HERE / "codes.toml").read_text(encoding="utf-8"))
    return list(_refusals(found["table"], found["impossible"]))


def _refusals(listed: list[Mapping[str, list[str]]], impossible: Mapping[str, str]) -> Iterator[Refusal]:
    for one in listed:
        statuses = sorted(key for key in one if key.isdecimal() and len(key) == _STATUS_DIGITS)
        for operation in one["operations"]:
            for status in statuses:
                for code in one[status]:
                    yield Refusal(
                        operation=operation,
                        code=code,
                        status=int(status),
                        page=str(one["page"]),
                        impossible=impossible.get(f"{operation} {code}", ""),
                    )


def limits() -> list[Limit]:
    """Every documented limit."""
    found = tomllib.loads((HERE / "limits.toml").read_text(encoding="utf-8"))
    return [
        Limit(
            what=one["what"],
            value=one["value"],
            origin=one["origin"],
            page=one.get("page", ""),
            rule=one.get("rule", ""),
            why=one.get("why", ""),
        )
        for one in found["limit"]
    ]


def names() -> Names:
    """What names.toml has."""
    found = tomllib.loads((HERE / "names.toml").read_text(encoding="utf-8"))
    origins = {
        operation: (origin, page)
        for origin, pages in found["operations"].items()
        for page, operations in pages.items()
        for operation in operations
    }
    return Names(
        pages=found["pages"],
        origins=origins,
        sdk_only=frozenset(found["sdk_only"]["parameters"]),
        parameters=found["parameters"],
        filters=found["filters"],
        steps=found["steps"],
        never_filled=found["never_filled"],
        strict=found["strict"],
    )
