"""Does the benchmark remove what it wrote when it is told to end in the midst of that?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bench.ending import ENDING, scratch


def end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


@pytest.fixture
def ended_by_signals() -> Iterator[None]:
    earlier = {number: signal.signal(number, end) for number in ENDING}
    yield
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("ended_by_signals")
@pytest.mark.parametrize("number", ENDING)
def test_signals_in_the_midst_of_a_removal_are_heard_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    real = os.unlink

    def unlink(*names: Any, **where: Any) -> None:
        signal.raise_signal(number)
        real(*names, **where)

    def write() -> None:
        with scratch(tmp_path) as directory:
            for name in ("a", "b", "c"):
                (directory / name).touch()
            monkeypatch.setattr(os, "unlink", unlink)

    with pytest.raises(SystemExit) as ending:
        write()
    assert ending.value.code == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert all(signal.getsignal(each) is end for each in ENDING)
