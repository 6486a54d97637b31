"""What holds for every test: servers that are started once, the backend of async tests, how examples are made up, and a collector
of cycles that lets the tests be."""

from __future__ import annotations

import gc
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures import refusals
from tests.fixtures.chance import make_examples_of_tests_alone

# Machines may be busy: how long an example takes says nothing. What is needed to play one again is printed.
settings.register_profile(
    "explore", deadline=None, print_blob=True, max_examples=1000, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "house", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

pytest_plugins = [
    "tests.fixtures.ceph",
    "tests.fixtures.emulator",
    "tests.fixtures.inmemory",
    "tests.fixtures.moto",
    "tests.fixtures.rclone",
    "tests.fixtures.swift",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Ten thousand tests and all they import are there to stay: the collector of cycles need not look through them again and
    again, while they are found or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test that says it sees a refusal has to have seen it: the ledger believes it."""
    refusals.SEEN.clear()
    outcome = yield
    if missed := refusals.unseen(mark.args for mark in item.iter_markers("code")):
        pytest.fail(f"not seen, although marked: {missed}", pytrace=False)
    return outcome


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Another profile may have been asked for by now."""
    if settings().derandomize:
        make_examples_of_tests_alone()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"
