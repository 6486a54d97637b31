"""One stand-in for all of these tests, as its own plugin gives it; and a stream on it, by the vendor's SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
from alibabacloud_nas20170626.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from penstock.testing import Service
from penstock.testing.plugin import penstock, penstock_seed, penstock_session
from tests.e2e.sdk import Flow, open_flow

__all__ = ["penstock", "penstock_seed", "penstock_session"]  # as pytest finds them where Penstock is installed


@pytest.hookimpl(tryfirst=True)  # xdist looks at the marks in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests run in one worker, so that one stand-in is started."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("stand-in"))


@pytest.fixture
def client(penstock: Service) -> Client:
    """The SDK, as docs/stand-in.md has it."""
    return Client(Config(**penstock.sdk))


@pytest.fixture
def exporting(penstock: Service, client: Client) -> Flow:
    """A stream from `/train/` to `run/`; `/train/a.pt` is there."""
    (penstock.root / "train").mkdir()
    (penstock.root / "train" / "a.pt").write_bytes(b"weights")
    return open_flow(
        client,
        penstock.file_system_id,
        action="StreamExport",
        paths=("/train/", "/run/"),
        storage=penstock.storage,
        directories=("/", "/"),
    )
