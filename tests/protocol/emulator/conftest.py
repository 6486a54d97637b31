"""The emulator, and the vendor's SDK pointed at it with each kind of signature."""

from __future__ import annotations

from collections.abc import Callable

import alibabacloud_oss_v2 as oss
import pytest

from tests.fixtures.emulator import EmulatorServer

ClientOf = Callable[..., "oss.Client"]


@pytest.fixture(scope="session")
def client_of(emulator: EmulatorServer) -> ClientOf:
    """Makes SDK clients: `client_of(signature="v1", secret="wrong", ...)`."""

    def make(*, signature: str = "v4", key_id: str = "", secret: str = "", region: str = "") -> oss.Client:
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            key_id or emulator.access_key_id, secret or emulator.access_key_secret
        )
        config.region = region or emulator.region
        config.endpoint = emulator.endpoint
        config.signature_version = signature
        config.retry_max_attempts = 1
        return oss.Client(config)

    return make


@pytest.fixture(scope="session", params=["v4", "v1"])
def client(request: pytest.FixtureRequest, client_of: ClientOf) -> oss.Client:
    """The SDK, once with each signature."""
    return client_of(signature=request.param)
