"""The room's door: a registered bucket and its credentials become a Store. Connects to nothing until the first verb."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable

from penstock.errors import SettingsError
from penstock.model import Bucket, BucketKind, Credentials
from penstock.stores.abilities import abilities_from_mapping, abilities_to_mapping
from penstock.stores.addressing import address_of
from penstock.stores.base import Store
from penstock.stores.exchange import Exchange
from penstock.stores.oss import OssStore, oss_signer
from penstock.stores.oss_signature import OssSignature
from penstock.stores.pacer import Pacer, Unpaced
from penstock.stores.s3 import S3Store
from penstock.stores.s3_signature import S3Signer
from penstock.stores.timeouts import Timeouts
from penstock.stores.wire import Wire

__all__ = ["OssSignature", "Timeouts", "abilities_from_mapping", "abilities_to_mapping", "open_store"]


def open_store(
    bucket: Bucket,
    credentials: Credentials,
    *,
    connections_max: int = 64,
    timeouts: Timeouts | None = None,
    oss_signature: OssSignature = OssSignature.V4,
    clock: Callable[[], int] = time.time_ns,
    random_name: Callable[[], str] = lambda: secrets.token_hex(8),
    pacer: Pacer | None = None,
) -> Store:
    """Open a bucket. `clock` gives UTC nanoseconds (signatures need it).

    `pacer` lets requests out; without one there are at most `connections_max` at once.
    Raises SettingsError: the endpoint, the CA file or the recorded abilities are not usable.
    """
    pacer = pacer or Unpaced(connections_max)
    address = address_of(bucket.name, bucket.endpoint, bucket.addressing_style)
    wire = Wire(
        host=address.host,
        port=address.port,
        tls=_tls(bucket) if address.scheme == "https" else None,
        timeouts=timeouts or Timeouts(),
        pacer=pacer,
    )
    is_s3 = bucket.kind is BucketKind.S3
    exchange = Exchange(
        bucket=bucket.name,
        address=address,
        wire=wire,
        signer=S3Signer(credentials, bucket.region) if is_s3 else oss_signer(credentials, bucket.region, oss_signature),
        clock=clock,
        pacer=pacer,
    )
    abilities = abilities_from_mapping(bucket.abilities)
    if is_s3:
        return S3Store(exchange=exchange, abilities=abilities, random_name=random_name)
    return OssStore(exchange=exchange, abilities=abilities, random_name=random_name)


def _tls(bucket: Bucket) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=bucket.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the ca_file of bucket {bucket.name} ({bucket.ca_file}) cannot be used: {error.strerror or error}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
