"""How many connections may callers have, under each limit on open files?"""

from __future__ import annotations

import logging
import resource

import pytest

from penstock.app.limits import CONNECTIONS_MAX, FEWEST, FILES_MAX, OURS, connections_within_limit, open_files_freely

WANTED = CONNECTIONS_MAX + OURS
ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "count"),
    [
        (1024, 1 << 20, WANTED, CONNECTIONS_MAX),
        (1024, ENDLESS, WANTED, CONNECTIONS_MAX),
        (1024, 1024, 1024, 1024 - OURS),
        (1024, 2048, 2048, 2048 - OURS),
        (20_000, 20_000, None, CONNECTIONS_MAX),
        (ENDLESS, ENDLESS, None, CONNECTIONS_MAX),
        (256, 256, 256, FEWEST),
    ],
)
def test_what_is_ours_is_kept(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None, count: int
) -> None:
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: said.append(limits))
    assert connections_within_limit() == count
    assert said == ([] if raised is None else [(raised, hard)])


@pytest.mark.parametrize(
    ("limits", "raised", "told"),
    [
        ((1024, 1 << 20), [(FILES_MAX, 1 << 20)], False),
        ((1024, ENDLESS), [(FILES_MAX, ENDLESS)], False),
        ((1024, 4096), [(4096, 4096)], False),
        ((80, 80), [], True),
        ((64, 100), [(100, 100)], True),
        ((1 << 20, 1 << 20), [], False),
        ((ENDLESS, ENDLESS), [], False),
    ],
)
def test_what_may_be_opened_is_used_and_too_little_is_told(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    limits: tuple[int, int],
    raised: list[tuple[int, int]],
    told: bool,
) -> None:
    caplog.set_level(logging.INFO, "penstock")
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: said.append(wanted))
    open_files_freely(72)
    assert said == raised
    assert ("service.few_files" in caplog.text) is told
