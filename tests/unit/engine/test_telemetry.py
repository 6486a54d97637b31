"""Does a defect's traceback reach the log, in lines that still belong to one?"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from penstock import telemetry


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged while the test runs; the log goes back to where it went before."""
    logger = logging.getLogger("penstock")
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    stream = io.StringIO()
    telemetry.configure(stream)
    yield stream
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def test_a_traceback_is_kept_and_indented(written: io.StringIO) -> None:
    try:
        raise LookupError("the needle")
    except LookupError:
        logging.getLogger("penstock").exception("it broke")
    first, *rest = written.getvalue().splitlines()
    assert first.endswith("ERROR it broke")
    assert rest[-1] == "    LookupError: the needle"
    assert all(line.startswith("    ") for line in rest)
