"""Stores against a scripted server, with patience short enough for a test; and a check that no socket stays open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Store
from penstock.stores.opening import Timeouts, open_store
from penstock.stores.pacer import Pacer

SECRET = "topsecret-0123456789"
TOKEN = "securitytoken-0123456789"
SHORT = Timeouts(connect_s=0.5, send_s=0.5, first_byte_s=0.5, read_s=0.3, slot_s=0.2, idle_s=20.0)

Opener = Callable[..., Store]


@pytest.fixture
def open_at(no_socket_is_left: None) -> Iterator[Opener]:
    """Open a bucket at an endpoint; all are closed at the end."""
    opened: list[Store] = []

    def open_bucket(
        endpoint: str,
        *,
        kind: BucketKind = BucketKind.OSS,
        ca_file: str = "",
        connections_max: int = 8,
        timeouts: Timeouts = SHORT,
        pacer: Pacer | None = None,
    ) -> Store:
        bucket = Bucket(
            name="bucket",
            kind=kind,
            endpoint=endpoint,
            region="cn-hangzhou",
            addressing_style=AddressingStyle.PATH,
            ca_file=ca_file,
            abilities={"crc64": kind is BucketKind.OSS, "part_etag_is_md5": kind is BucketKind.S3},
        )
        credentials = Credentials(access_key_id="LTAIkey", access_key_secret=SECRET, security_token=TOKEN)
        store = open_store(bucket, credentials, timeouts=timeouts, connections_max=connections_max, pacer=pacer)
        opened.append(store)
        return store

    yield open_bucket
    for store in opened:
        store.close()


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    """Whatever went wrong, the connections are closed: after `close()` this process has no socket more than before."""
    before = _sockets()
    yield
    assert _sockets() <= before


def _sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue  # the listing's own descriptor
    return count
