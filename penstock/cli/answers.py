"""Answers of the API as the commands read and print them: pages, one thing by its id, facts, columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.cli.connection import Service
from penstock.cli.output import note, print_json, print_table
from penstock.errors import SettingsError

Thing = Mapping[str, Any]
Filters = Mapping[str, str | None]


def page(service: Service, action: str, *, filters: Filters, limit: int = 20, next_token: str = "") -> dict[str, Any]:
    """One page of a Describe... call. Filters that are None are left out."""
    chosen = [{"Key": key, "Value": value} for key, value in filters.items() if value]
    return service.call(action, Filters=chosen or None, MaxResults=limit, NextToken=next_token or None)


def things(answer: Mapping[str, Any], outer: str, inner: str) -> list[Thing]:
    """The list inside of an answer (`DataFlowInfo.DataFlow`)."""
    return list(answer.get(outer, {}).get(inner, []))


def the_one(found: Sequence[Thing], what: str, name: str) -> Thing:
    """The only thing of a list. Raises SettingsError when there is none."""
    if len(found) != 1:
        raise SettingsError(f"there is no {what} {name} in this file system")
    return found[0]


def show_page(answer: Mapping[str, Any], found: Sequence[Thing], columns: Mapping[str, str]) -> None:
    """A table; `columns` maps headings to the answer's names (`ProgressStats.BytesDone`)."""
    print_table(list(columns), [[value_at(thing, path) for path in columns.values()] for thing in found])
    if answer.get("NextToken"):
        note(f"there are more: --next-token {answer['NextToken']}")


def value_at(thing: Thing, path: str) -> Any:
    """The value at a dotted path; empty text where there is none."""
    value: Any = thing
    for name in path.split("."):
        value = value.get(name, "") if isinstance(value, Mapping) else ""
    return value


def print_raw(answer: Mapping[str, Any]) -> None:
    """The answer as JSON; nanoseconds are texts, because many readers of JSON have 53 bits only."""
    print_json(_safe(answer))


def _safe(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: str(inner) if key == "ModifyTime" else _safe(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_safe(inner) for inner in value]
    return value
