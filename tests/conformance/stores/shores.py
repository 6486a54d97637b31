"""The servers (and the stand-in) that the stores' suite runs over, and where each is known to differ from the contract.

A difference is never skipped over: the test that meets one asserts it, so that a server that mends its ways is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials, Verify
from penstock.stores.base import Abilities, Store, StoreOptions, Versioning
from penstock.stores.opening import OssSignature, abilities_to_mapping, open_store
from tests.fixtures.memorystore import MemoryStore

WRONG_SECRET = "wrongsecret1234567890"


class Difference(StrEnum):
    """Where a server departs from what the contract, or the service it stands for, promises."""

    CHECKS_NO_CREDENTIALS = "accepts any credentials"
    CHECKS_NO_MD5 = "stores a body whose Content-MD5 is another"
    COMPLETE_TELLS_NO_ETAG = "answers Complete with an empty ETag"
    COMPLETE_TELLS_NULL_VERSION = "answers Complete with the version id null where versions were never kept"
    COMPLETE_IGNORES_CREATE_ONLY = "completes over an existing object although told not to"
    CREATE_ONLY_FAILS_WITH_VERSIONS = "replaces an existing object on a versioned bucket although told not to"
    CREATE_ONLY_FAILS_WHEN_SUSPENDED = (
        "replaces an existing object on a bucket with suspended versions although told not to"
    )
    REFUSES_NEWLINES = "routes no key with a newline"
    REFUSES_A_SUBSET_OF_PARTS = "completes an upload only with all of its parts"
    PART_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR = "answers 500 for a part of an unknown upload"
    COMPLETE_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR = "answers 500 for Complete of an unknown upload"
    MAKES_UP_WHEN_UPLOADS_BEGAN = "tells the same made-up time for every upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """How a server is reached, and as whom."""

    kind: BucketKind
    endpoint: str
    region: str
    credentials: Credentials
    addressing_style: AddressingStyle = AddressingStyle.PATH
    oss_signature: OssSignature = OssSignature.V4


@dataclass(slots=True, kw_only=True)
class Shore:
    """One server as the suite sees it. `make_bucket(versioning)` makes a bucket with the tag of dataflows."""

    name: str
    expected: Abilities
    part_size_bytes: int
    make_bucket: Callable[[Versioning], str]
    address: Address | None = None
    differences: frozenset[Difference] = frozenset()
    _opened: list[Store] = field(default_factory=list)

    def differs(self, difference: Difference) -> bool:
        return difference in self.differences

    def ignores_create_only_on(self, versioning: Versioning) -> bool:
        """Whether CreateOnly is without effect on a bucket in that state."""
        if versioning is Versioning.ENABLED:
            return self.differs(Difference.CREATE_ONLY_FAILS_WITH_VERSIONS)
        return versioning is Versioning.SUSPENDED and self.differs(Difference.CREATE_ONLY_FAILS_WHEN_SUSPENDED)

    def expected_on(self, versioning: Versioning) -> Abilities:
        """What a probe should find on a bucket in that state."""
        if self.ignores_create_only_on(versioning):
            return replace(self.expected, create_only_put=False, create_only_complete=False, versioning=versioning)
        return replace(self.expected, versioning=versioning)

    def open(
        self,
        bucket: str,
        *,
        versioning: Versioning = Versioning.NEVER,
        credentials: Credentials | None = None,
        verify: Verify = Verify.STORE,
        abilities: Abilities | None = None,
    ) -> Store:
        """Open a bucket of this server, with the abilities that it is expected to have unless others are given."""
        abilities = self.expected_on(versioning) if abilities is None else abilities
        if self.address is None:
            memory = MemoryStore(bucket, abilities=abilities, tags={"cpfs-dataflow": "true"})
            memory.options = StoreOptions(reads_back=verify is Verify.READ_BACK)
            store: Store = memory
        else:
            store = open_store(
                Bucket(
                    name=bucket,
                    kind=self.address.kind,
                    endpoint=self.address.endpoint,
                    region=self.address.region,
                    addressing_style=self.address.addressing_style,
                    verify=verify,
                    abilities=abilities_to_mapping(abilities),
                ),
                credentials or self.address.credentials,
                oss_signature=self.address.oss_signature,
            )
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.pop().close()


def with_secret(credentials: Credentials, secret: str) -> Credentials:
    """The same key id with another secret."""
    return Credentials(access_key_id=credentials.access_key_id, access_key_secret=secret)
