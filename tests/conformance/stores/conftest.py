"""Every store's server, one after the other, and a fresh bucket on it for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from penstock.model import BucketKind
from penstock.stores import httpstore
from penstock.stores.base import Abilities, Store, Versioning
from penstock.stores.opening import OssSignature
from tests.conformance.stores.gaps import out_of_scope
from tests.conformance.stores.shores import Address, Difference, Shore
from tests.fixtures.ceph import CephServer
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.moto import MotoServer
from tests.fixtures.s3server import S3Server

MIB = 1 << 20
_numbers = itertools.count(1)


def memory_shore(_request: pytest.FixtureRequest) -> Shore:
    return Shore(
        name="memory",
        expected=Abilities(
            create_only_put=True, create_only_complete=True, crc64=True, part_etag_is_md5=True, bucket_tags=True
        ),
        part_size_bytes=1000,
        make_bucket=lambda _versioning: f"memory-{next(_numbers)}",
    )


def moto_shore(request: pytest.FixtureRequest) -> Shore:
    server: MotoServer = request.getfixturevalue("moto")
    return Shore(
        name="moto",
        expected=Abilities(create_only_put=True, create_only_complete=True, part_etag_is_md5=True, bucket_tags=True),
        part_size_bytes=5 * MIB,
        make_bucket=lambda versioning: server.make_bucket(versioning=_wire(versioning)),
        address=_s3_address(server),
        differences=frozenset(
            {
                Difference.CHECKS_NO_CREDENTIALS,
                Difference.CHECKS_NO_MD5,
                Difference.COMPLETE_TELLS_NULL_VERSION,
                Difference.REFUSES_NEWLINES,
                Difference.PART_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR,
                Difference.COMPLETE_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR,
                Difference.MAKES_UP_WHEN_UPLOADS_BEGAN,
            }
        ),
    )


def ceph_shore(request: pytest.FixtureRequest) -> Shore:
    server: CephServer = request.getfixturevalue("ceph")
    return Shore(
        name="ceph",
        expected=Abilities(create_only_put=True, part_etag_is_md5=True, bucket_tags=True, content_md5=True),
        part_size_bytes=5 * MIB,
        make_bucket=lambda versioning: server.make_bucket(versioning=_wire(versioning)),
        address=_s3_address(server),
        differences=frozenset(
            {
                Difference.COMPLETE_IGNORES_CREATE_ONLY,
                Difference.COMPLETE_TELLS_NO_ETAG,
                Difference.COMPLETE_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR,
                Difference.CREATE_ONLY_FAILS_WITH_VERSIONS,
                Difference.REFUSES_A_SUBSET_OF_PARTS,
            }
        ),
    )


def emulator_shore(request: pytest.FixtureRequest, signature: OssSignature) -> Shore:
    server: EmulatorServer = request.getfixturevalue("emulator")
    return Shore(
        name=f"oss-{signature.value}",
        expected=Abilities(
            create_only_put=True, create_only_complete=True, crc64=True, part_etag_is_md5=True, bucket_tags=True
        ),
        part_size_bytes=100 * 1024,
        make_bucket=lambda versioning: server.bucket(versioning=_wire(versioning)),
        address=Address(
            kind=BucketKind.OSS,
            endpoint=server.endpoint,
            region=server.region,
            credentials=server.credentials,
            oss_signature=signature,
        ),
        differences=frozenset(
            {Difference.CREATE_ONLY_FAILS_WITH_VERSIONS, Difference.CREATE_ONLY_FAILS_WHEN_SUSPENDED}
        ),
    )


def rclone_shore(request: pytest.FixtureRequest) -> Shore:
    server: S3Server = request.getfixturevalue("rclone")
    return Shore(
        name="rclone",
        expected=Abilities(part_etag_is_md5=True, content_md5=True),
        part_size_bytes=5 * MIB,
        make_bucket=lambda _versioning: server.make_bucket(tags={}),
        address=_s3_address(server),
    )


def swift_shore(request: pytest.FixtureRequest) -> Shore:
    server: S3Server = request.getfixturevalue("swift")
    return Shore(
        name="swift",
        expected=Abilities(create_only_complete=True, part_etag_is_md5=True, content_md5=True, bucket_tags=True),
        part_size_bytes=5 * MIB,
        make_bucket=lambda versioning: server.make_bucket(tags={}, versioning=_wire(versioning)),
        address=_s3_address(server),
    )


SHORES = {
    "memory": memory_shore,
    "moto": moto_shore,
    "oss-v4": lambda request: emulator_shore(request, OssSignature.V4),
    "oss-v1": lambda request: emulator_shore(request, OssSignature.V1),
    "ceph": ceph_shore,
}
if os.environ.get("PENSTOCK_COMPATIBILITY") == "1":  # servers with gaps, for docs/compatibility.md
    SHORES |= {"rclone": rclone_shore, "swift": swift_shore}
MARKS = {
    "ceph": (pytest.mark.ceph, pytest.mark.xdist_group("ceph")),
    "moto": (pytest.mark.xdist_group("moto"),),  # it takes seconds to start, so one worker does
    "rclone": (pytest.mark.xdist_group("rclone"),),
    "swift": (pytest.mark.xdist_group("swift"),),
}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in SHORES])
def shore(request: pytest.FixtureRequest) -> Iterator[Shore]:
    """One of the servers. What is out of scope for it, for a reason that its page tells, is skipped."""
    request.node.user_properties.append(("shore", request.param))
    reason = out_of_scope(request.param, request.node.name)
    if reason:
        pytest.skip(reason)
    made = SHORES[request.param](request)
    yield made
    made.close()


@pytest.fixture
def store(shore: Shore) -> Store:
    """A fresh bucket on which versioning was never set."""
    return shore.open(shore.make_bucket(Versioning.NEVER))


@pytest.fixture
def versioned(shore: Shore) -> Store:
    """A fresh bucket that keeps versions."""
    return shore.open(shore.make_bucket(Versioning.ENABLED), versioning=Versioning.ENABLED)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Listings in pages of so many entries, so that a few objects make several pages."""
    monkeypatch.setattr(httpstore, "PAGE_MAX", 4)
    return 4


def _s3_address(server: S3Server) -> Address:
    return Address(kind=BucketKind.S3, endpoint=server.endpoint, region=server.region, credentials=server.credentials)


def _wire(versioning: Versioning) -> str:
    return "" if versioning is Versioning.NEVER else versioning.value
