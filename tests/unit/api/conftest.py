"""A loop that tests turn by hand, and a connection on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.unit.api.oneline import Line


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def line(loop: asyncio.AbstractEventLoop) -> Line:
    return Line(loop)
