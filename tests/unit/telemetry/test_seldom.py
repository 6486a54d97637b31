"""Can strangers fill the log, and is what was left out told?"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from penstock import telemetry
from penstock.telemetry.seldom import Seldom


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    logger = logging.getLogger(telemetry.LOGGER_NAME)
    handlers, level, propagates = list(logger.handlers), logger.level, logger.propagate
    telemetry.configure(stream)
    yield stream
    logger.handlers[:], logger.propagate = handlers, propagates
    logger.setLevel(level)


def test_a_flood_is_counted_and_the_count_is_told_with_the_next_event(log: io.StringIO) -> None:
    now_s = 5.0
    seldom = Seldom("a.thing", most=3, period_s=60.0, clock_s=lambda: now_s)
    for number in range(10):
        seldom.event(level=telemetry.Level.WARNING, number=number)
    now_s = 64.9
    seldom.event(level=telemetry.Level.WARNING, number=10)
    now_s = 65.0
    for number in range(11, 20):
        seldom.event(level=telemetry.Level.WARNING, number=number)
    said = [line.partition(" ")[2] for line in log.getvalue().splitlines()]
    assert said == [
        "WARNING a.thing number=0",
        "WARNING a.thing number=1",
        "WARNING a.thing number=2",
        "WARNING a.thing number=11 unsaid=8",
        "WARNING a.thing number=12",
        "WARNING a.thing number=13",
    ]
