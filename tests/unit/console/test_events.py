"""Do server-sent events hold whatever text comes, and is a cursor that is none of ours let go?"""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from penstock.console.events import CURSOR_MAX_CHARACTERS, cursor_of, event


def parsed(raw: bytes) -> dict[str, str]:
    """One event as the standard's parser reads it."""
    fields: dict[str, str] = {}
    text = raw.decode()
    assert text.endswith("\n\n")
    for line in text[:-2].replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        name, _, value = line.partition(": ")
        fields[name] = f"{fields[name]}\n{value}" if name in fields else value
    return fields


@given(st.text())
def test_data_comes_back_as_it_was_sent(text: str) -> None:
    found = parsed(event("row", {"path": text}, cursor="12"))
    assert json.loads(found["data"]) == {"path": text}
    assert (found["event"], found["id"]) == ("row", "12")


def test_a_lone_surrogate_breaks_nothing() -> None:
    assert b"\\ud800" in event("row", "\ud800")


def test_an_event_without_a_cursor_leaves_the_clients_as_it_is() -> None:
    assert "id" not in parsed(event("row", 1))


def test_the_browsers_own_word_goes_before_the_urls() -> None:
    assert cursor_of({"last-event-id": "7"}, {"from": "5"}) == "7"
    assert cursor_of({}, {"from": "5"}) == "5"
    assert cursor_of({}, {}) == ""


def test_what_is_no_cursor_counts_as_none() -> None:
    assert cursor_of({"last-event-id": "a\nb"}, {}) == ""
    assert cursor_of({"last-event-id": "1" * (CURSOR_MAX_CHARACTERS + 1)}, {}) == ""
    assert cursor_of({}, {"from": "é"}) == ""
