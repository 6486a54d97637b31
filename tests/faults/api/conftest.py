"""HOMEs that are served by the installed command, once in plain HTTP and once in TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.app.making import Tls
from penstock.client import Client, ClientOptions
from tests.fixtures.service import WARM, RunningService, init_home, start_service


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningService]:
    """A running service of the test's own."""
    home = tmp_path / "home"
    init_home(home, tls=Tls.LOCAL if request.param == "https" else Tls.NONE, movers=1)
    running = start_service(home, command=WARM)
    yield running
    running.stop()


def client_of(service: RunningService) -> Client:
    """A client with the key that `init` made."""
    return Client(
        ClientOptions(
            endpoint=service.api,
            access_key_id=service.init["access_key_id"],
            access_key_secret=service.init["access_key_secret"],
            ca_file=json.loads((service.home / "service.json").read_text()).get("ca_file", ""),
        )
    )
