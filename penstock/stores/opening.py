"""The room's door: a registered bucket and its credentials become a Store. Connects to nothing until the first verb."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from penstock.errors import SettingsError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials, Verify
from penstock.stores.abilities import abilities_from_mapping, abilities_to_mapping
from penstock.stores.addressing import address_of
from penstock.stores.base import Store, StoreOptions
from penstock.stores.exchange import Exchange, Signer
from penstock.stores.keychain import Keys
from penstock.stores.oss import OSS_DIALECT, OssStore, oss_signer
from penstock.stores.oss_signature import OssSignature
from penstock.stores.pacer import Pacer, Unpaced
from penstock.stores.renewing import Renewing, RenewingSigner
from penstock.stores.s3 import S3_DIALECT, S3Store
from penstock.stores.s3_signature import S3Signer
from penstock.stores.timeouts import Timeouts
from penstock.stores.wire import Wire

__all__ = ["OssSignature", "Timeouts", "abilities_from_mapping", "abilities_to_mapping", "open_store", "trusting"]


def open_store(
    bucket: Bucket,
    credentials: Keys,
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
        proxy=_proxy(bucket),
    )
    dialect = S3_DIALECT if bucket.kind is BucketKind.S3 else OSS_DIALECT
    exchange = Exchange(
        bucket=bucket.name,
        address=address,
        wire=wire,
        signer=_signer(bucket, credentials, oss_signature),
        clock=clock,
        pacer=pacer,
        always=dialect.requester_pays if bucket.requester_pays else {},
    )
    options = StoreOptions(
        export_headers=dialect.export_headers(bucket.export),
        complete_headers=dialect.complete_headers(bucket.export),
        restore_days=bucket.restore_days,
        reads_back=bucket.verify is Verify.READ_BACK,
    )
    abilities = abilities_from_mapping(bucket.abilities)
    if dialect is S3_DIALECT:
        return S3Store(exchange=exchange, abilities=abilities, random_name=random_name, options=options)
    return OssStore(exchange=exchange, abilities=abilities, random_name=random_name, options=options)


def _signer(bucket: Bucket, credentials: Keys, oss_signature: OssSignature) -> Signer:
    def signer_of(known: Credentials) -> Signer:
        if bucket.kind is BucketKind.S3:
            return S3Signer(known, bucket.region)
        return oss_signer(known, bucket.region, oss_signature)

    return RenewingSigner(credentials, signer_of) if isinstance(credentials, Renewing) else signer_of(credentials)


def _proxy(bucket: Bucket) -> tuple[str, int] | None:
    if not bucket.proxy:
        return None
    address = address_of(bucket.name, bucket.proxy, AddressingStyle.CNAME)
    if address.scheme != "http":
        raise SettingsError(f"the proxy {bucket.proxy!r} of bucket {bucket.name} must look like http://host[:port]")
    return address.host, address.port


def trusting(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by which OpenSSL finds the CAs of this machine: who is to trust the same gets the same.

    Paths are made absolute, for another process may work elsewhere.
    """
    found = {"SSL_CERT_FILE": [environment.get("SSL_CERT_FILE", "")]}
    found["SSL_CERT_DIR"] = environment.get("SSL_CERT_DIR", "").split(":")
    absolute = {name: ":".join(str(Path(each).absolute()) for each in paths if each) for name, paths in found.items()}
    return {name: value for name, value in absolute.items() if value}


def _tls(bucket: Bucket) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=bucket.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the ca_file of bucket {bucket.name} ({bucket.ca_file}) cannot be used: {error.strerror or error}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
