"""One chaos proxy and two buckets for all cases of a process; each case has its own key and its own tree."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from penstock.stores.opening import Timeouts
from tests.faults.chaos.stand import PATIENT, Stand, open_stand
from tests.fixtures.chaosproxy import ChaosProxy
from tests.fixtures.emulator import EmulatorServer

Opener = Callable[..., Stand]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def chaos_buckets(emulator: EmulatorServer) -> dict[str, str]:
    """A plain bucket, a versioned one, and one whose versioning was suspended."""
    states = {"Never": "", "Enabled": "Enabled", "Suspended": "Suspended"}
    return {name: emulator.bucket(versioning=state) for name, state in states.items()}


@pytest.fixture(scope="session")
def proxy(emulator: EmulatorServer) -> Iterator[ChaosProxy]:
    """The proxy, honest until it is scripted."""
    with ChaosProxy(emulator.endpoint) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Where the files of the cases lie."""
    return tmp_path


@pytest.fixture
def open_case(
    tree: Path, emulator: EmulatorServer, proxy: ChaosProxy, chaos_buckets: dict[str, str]
) -> Iterator[Opener]:
    """Open the stand of a case; closed at the end, and what went wrong inside of the proxy is raised."""
    with ExitStack() as opened:

        def open_one(*, versioning: str = "Never", timeouts: Timeouts = PATIENT, workers: int = 3) -> Stand:
            number = next(_numbers)
            proxy.script()
            made: AbstractContextManager[Stand] = open_stand(
                tree / f"fs{number}",
                proxy,
                emulator,
                chaos_buckets[versioning],
                f"case/{number:05}.bin",
                versioning=versioning,
                timeouts=timeouts,
                workers=workers,
            )
            return opened.enter_context(made)

        yield open_one
    proxy.script()
    assert proxy.failures == []
