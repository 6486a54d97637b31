"""The S3 protocol, spoken by our own signed requests: a checksum with every object and part, preconditions by If-None-Match."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

from penstock.stores.base import S3_LIMITS, Abilities, Checksum, StoreOptions
from penstock.stores.dialect import Dialect
from penstock.stores.exchange import Exchange
from penstock.stores.httpstore import HttpStore

S3_DIALECT = Dialect(
    prefix="x-amz-",
    limits=S3_LIMITS,
    create_only={"if-none-match": "*"},
    range_headers={},
    decode=unquote_plus,  # S3 encodes a space as `+` and a plus as `%2B`
    encodes_uploads=False,
    export_names={
        "storage_class": "x-amz-storage-class",
        "acl": "x-amz-acl",
        "encryption": "x-amz-server-side-encryption",
        "encryption_key": "x-amz-server-side-encryption-aws-kms-key-id",
    },
    at_complete=frozenset(),
    requester_pays={"x-amz-request-payer": "requester"},
    checksums=(Checksum.CRC32C, Checksum.SHA256),
    standard={},  # buckets have no class of their own, and servers that know one class only may refuse its name
)


class S3Store(HttpStore):
    """One S3 bucket."""

    def __init__(
        self, *, exchange: Exchange, abilities: Abilities, random_name: Callable[[], str], options: StoreOptions
    ) -> None:
        super().__init__(
            dialect=S3_DIALECT, exchange=exchange, abilities=abilities, random_name=random_name, options=options
        )
