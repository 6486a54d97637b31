"""The same on Ceph RGW, which completes an upload over an object although it is told not to, and tells no CRC-64."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from penstock.model import BucketKind, ConflictPolicy
from tests.faults.races.buckets import Address
from tests.faults.races.conftest import Score
from tests.faults.races.exportarena import LARGE, SMALL, VERSIONINGS, Arena, open_arena, raced_client, raced_export
from tests.faults.races.striking import Rival
from tests.fixtures.ceph import CephServer

pytestmark = [pytest.mark.ceph, pytest.mark.xdist_group("ceph")]
FEW = 16
SHARES = 36
SKIP, LATEST = ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST


@pytest.fixture(scope="module")
def addresses(ceph: CephServer) -> Mapping[str, Address]:
    """Three buckets of the gateway."""
    return {
        name: {
            "kind": BucketKind.S3.value,
            "name": ceph.make_bucket(versioning=versioning),
            "endpoint": ceph.endpoint,
            "region": ceph.region,
            "access_key_id": ceph.access_key_id,
            "access_key_secret": ceph.access_key_secret,
        }
        for name, versioning in VERSIONINGS.items()
    }


@pytest.fixture(scope="module")
def rival(addresses: Mapping[str, Address]) -> Iterator[Rival]:
    """The other client."""
    with Rival("tests.faults.races.objectrival", {"buckets": addresses}) as made:
        yield made


@pytest.fixture
def arena(tmp_path: Path, addresses: Mapping[str, Address], rival: Rival, chance: random.Random) -> Iterator[Arena]:
    """Two that write to the same buckets."""
    with open_arena(tmp_path, addresses, rival, chance) as made:
        yield made


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("bucket", VERSIONINGS)
def test_skip_against_another_client(arena: Arena, bucket: str, content: bytes, score: Score) -> None:
    for _ in score.rounds(FEW, share=SHARES):
        score.count(raced_client(arena, bucket, SKIP, content))
    assert len(score.counts) > 1, f"always the same one was first: {score}"


@pytest.mark.parametrize(
    ("policy", "bucket", "content"),
    [(SKIP, "plain", SMALL), (SKIP, "versioned", LARGE), (LATEST, "versioned", SMALL)],
    ids=["skip-plain-small", "skip-versioned-large", "latest-versioned-small"],
)
def test_against_another_export(
    arena: Arena, policy: ConflictPolicy, bucket: str, content: bytes, score: Score
) -> None:
    for _ in score.rounds(FEW, share=SHARES):
        score.count(raced_export(arena, bucket, policy, content))
    assert len(score.counts) > 1, f"always the same one was first: {score}"
