"""A mover that is killed in this very process: at a failpoint, or wherever a test raises it.

with killed_at("upload.abort"):
    gate.move(...)                 ends there, or the test fails
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock import failpoints
from penstock.failpoints import Point


class Killed(BaseException):
    """Nothing of ours comes after it, and nobody catches it."""


@contextmanager
def killed_at(point: Point) -> Iterator[None]:
    """What is done within dies when it passes that point; it has to."""

    def passing(name: Point) -> None:
        if name == point:
            raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(failpoints, "passing", passing)
        with pytest.raises(Killed):
            yield
