"""The native protocol of Alibaba Cloud OSS, spoken by our own signed requests."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from penstock.model import Credentials
from penstock.stores.base import OSS_LIMITS, Abilities, StoreOptions
from penstock.stores.dialect import Dialect
from penstock.stores.exchange import Exchange, Signer
from penstock.stores.httpstore import HttpStore
from penstock.stores.oss_signature import OssSignature, OssSignerV1, OssSignerV4

OSS_DIALECT = Dialect(
    prefix="x-oss-",
    limits=OSS_LIMITS,
    create_only={"x-oss-forbid-overwrite": "true"},
    range_headers={"x-oss-range-behavior": "standard"},  # without it a range past the end answers the whole object
    decode=unquote,
    encodes_uploads=True,
    export_names={
        "storage_class": "x-oss-storage-class",
        "acl": "x-oss-object-acl",
        "encryption": "x-oss-server-side-encryption",
        "encryption_key": "x-oss-server-side-encryption-key-id",
    },
    at_complete=frozenset({"acl"}),
    requester_pays={"x-oss-request-payer": "requester"},
    checksums=(),  # it tells crc64 of everything
    standard={"x-oss-storage-class": "Standard"},
)


class OssStore(HttpStore):
    """One OSS bucket: CRC-64 of everything, creation guarded by `x-oss-forbid-overwrite`."""

    def __init__(
        self, *, exchange: Exchange, abilities: Abilities, random_name: Callable[[], str], options: StoreOptions
    ) -> None:
        super().__init__(
            dialect=OSS_DIALECT, exchange=exchange, abilities=abilities, random_name=random_name, options=options
        )


def oss_signer(credentials: Credentials, region: str, version: OssSignature) -> Signer:
    """The signer of that version."""
    return OssSignerV1(credentials) if version is OssSignature.V1 else OssSignerV4(credentials, region)
