"""The same on Ceph RGW, which completes an upload over an object although it is told not to, and tells no CRC-64."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.model import BucketKind, ConflictPolicy
from tests.faults.races.buckets import Address
from tests.faults.races.conftest import RACES, Score
from tests.faults.races.exportarena import LARGE, SMALL, VERSIONINGS, Arena, raced_client, raced_export
from tests.fixtures.ceph import CephServer

pytestmark = [pytest.mark.ceph, pytest.mark.xdist_group("ceph")]
FEW = 10
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


SIZES = {"small": SMALL, "large": LARGE}
AGAINST_CLIENT = [f"{bucket}-{size}" for bucket in VERSIONINGS for size in SIZES]
AGAINST_EXPORT = ["skip-plain-small", "skip-versioned-large", "latest-versioned-small"]


@pytest.mark.parametrize("kind", AGAINST_CLIENT if RACES else ["plain-large", "versioned-large", "suspended-small"])
def test_skip_against_another_client(arena: Arena, kind: str, score: Score) -> None:
    bucket, size = kind.split("-")
    for _ in score.rounds(FEW, share=SHARES):
        score.count(raced_client(arena, bucket, SKIP, SIZES[size]))
    assert len(score.counts) > 1, f"always the same one was first: {score}"


@pytest.mark.parametrize("kind", AGAINST_EXPORT if RACES else ["skip-versioned-large"])
def test_against_another_export(arena: Arena, kind: str, score: Score) -> None:
    policy, bucket, size = kind.split("-")
    for _ in score.rounds(FEW, share=SHARES):
        score.count(raced_export(arena, bucket, SKIP if policy == "skip" else LATEST, SIZES[size]))
    assert len(score.counts) > 1, f"always the same one was first: {score}"
