"""A bucket whose quota is used up, at a real store: is it said, is nothing left behind, and does it go on when there is room?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind, Direction
from penstock.stores.base import Store
from penstock.stores.opening import open_store
from penstock.transfer.transfer import Intent, Lane, Verdict
from tests.fixtures.ceph import CephServer
from tests.fixtures.ceph_cluster import CephCluster
from tests.fixtures.gate import LIMITS, Gate, open_gate, transfer

pytestmark = [pytest.mark.ceph, pytest.mark.xdist_group("ceph")]

LARGE_BYTES = 6 << 20


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = open_gate(tmp_path / "fs")
    made.limits = replace(LIMITS, part_size_bytes=5 << 20)
    yield made
    made.close()


@pytest.fixture
def store(ceph: CephServer) -> Iterator[Store]:
    described = Bucket(
        name=ceph.make_bucket(),
        kind=BucketKind.S3,
        endpoint=ceph.endpoint,
        region=ceph.region,
        addressing_style=AddressingStyle.PATH,
    )
    opened = open_store(described, ceph.credentials)
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [4096, LARGE_BYTES])
def test_a_full_bucket_is_said_to_be_full_and_filled_when_there_is_room(
    gate: Gate, store: Store, ceph_cluster: tuple[CephCluster, int], size: int
) -> None:
    content = os.urandom(size)
    gate.target.write_bytes(content)
    what = transfer(Direction.EXPORT, key="out/file")
    lane = Lane.SMALL if size < LARGE_BYTES else Lane.LARGE
    ceph_cluster[0].fill(store.bucket)
    outcome = gate.move(what, store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.NO_SPACE)
    assert "QuotaExceeded" in outcome.message
    assert "raise the bucket's quota, or remove objects" in outcome.message
    assert store.list_objects(limit=10).objects == []
    canceled = transfer(
        Direction.EXPORT, key="out/file", attempt=2, intent=Intent.WITHDRAW, checkpoint=outcome.checkpoint
    )
    assert gate.move(canceled, store).verdict is Verdict.CANCELED  # a full bucket keeps nobody from withdrawing
    assert list(store.list_uploads(prefix="")) == []
    ceph_cluster[0].unfill(store.bucket)
    again = gate.move(transfer(Direction.EXPORT, key="out/file", sub_task_id="subtask-2"), store, lane=lane)
    assert again.verdict is Verdict.COMPLETE
    with store.get("out/file") as stream:
        assert stream.length_bytes == size
