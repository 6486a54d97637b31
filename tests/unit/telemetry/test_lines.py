"""Is every event one line, of text or of JSON, that can be read back, and is no secret in it?"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import telemetry
from penstock.telemetry.lines import VALUE_LENGTH_MAX, LogFormat


@pytest.fixture(params=list(LogFormat))
def written(request: pytest.FixtureRequest) -> Iterator[tuple[LogFormat, io.StringIO]]:
    """What is logged while the test runs; the log goes back to where it went before."""
    logger = logging.getLogger(telemetry.LOGGER_NAME)
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    stream = io.StringIO()
    telemetry.configure(stream, form=request.param)
    yield request.param, stream
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def test_any_value_is_in_one_line_and_no_secret_is(written: tuple[LogFormat, io.StringIO]) -> None:
    form, stream = written
    telemetry.event(
        "room.it_happened", level=telemetry.Level.WARNING, path='a "b"\n検査 \x1b[31m', bytes=3, share=0.5, none=None,
        yes=True, endless=float("inf"), access_key_secret="the-secret", long="x" * 9999,
    )  # fmt: skip
    (line,) = stream.getvalue().splitlines()
    assert "the-secret" not in line
    assert len(line) < VALUE_LENGTH_MAX + 500
    if form is LogFormat.TEXT:
        assert " WARNING room.it_happened path=" in line
        return
    told: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    assert (told["level"], told["event"], told["bytes"], told["share"]) == ("WARNING", "room.it_happened", 3, 0.5)
    assert (told["path"], told["none"], told["yes"]) == ('a "b"\n検査 \x1b[31m', None, True)
    assert (told["endless"], told["access_key_secret"]) == ("inf", "***")
    assert told["time"].endswith("Z")


def test_a_field_does_not_hide_what_every_line_has(written: tuple[LogFormat, io.StringIO]) -> None:
    telemetry.event("room.it_happened", time="never", event="other")
    (line,) = written[1].getvalue().splitlines()
    if written[0] is LogFormat.JSON:
        told = json.loads(line)
        assert (told["event"], told["event_"], told["time_"]) == ("room.it_happened", "other", "never")


def test_a_traceback_and_what_is_no_event_are_told_too(written: tuple[LogFormat, io.StringIO]) -> None:
    try:
        raise LookupError("the needle")
    except LookupError:
        logging.getLogger(telemetry.LOGGER_NAME).exception("it broke")
    if written[0] is LogFormat.JSON:
        (line,) = written[1].getvalue().splitlines()
        told = json.loads(line)
        assert (told["event"], told["message"]) == ("log", "it broke")
        assert "the needle" in told["trace"]


@pytest.mark.parametrize(
    ("word", "form"), [("json", LogFormat.JSON), ("text", LogFormat.TEXT), ("yaml", LogFormat.TEXT)]
)
def test_children_are_told_by_their_environment(word: str, form: LogFormat) -> None:
    assert telemetry.form_of({telemetry.LOG_VARIABLE: word}) is form
    assert telemetry.form_of({}) is LogFormat.TEXT


def test_many_of_one_event_read_as_if_each_had_been_said_alone(written: tuple[LogFormat, io.StringIO]) -> None:
    _, stream = written
    telemetry.event("room.it_happened", request_id="1F-a", count=3)
    telemetry.events("room.it_happened", ("request_id", "count"), [("1F-a", 3), ("1F-b", 4)])
    telemetry.events("room.it_happened", ("request_id", "count"), [])
    alone, first, second = (line[:10] + line[35:] for line in stream.getvalue().splitlines())
    assert first == alone
    assert second == first.replace("1F-a", "1F-b").replace("3", "4")
