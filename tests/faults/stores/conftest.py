"""Stores against a scripted server, with patience for a machine that stands still; and a check that no socket stays open."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Store
from penstock.stores.opening import Timeouts, open_store
from penstock.stores.pacer import Pacer
from tests.fixtures.waiting import wait_until

SECRET = "topsecret-0123456789"
TOKEN = "securitytoken-0123456789"
PATIENT = Timeouts(connect_s=20.0, send_s=20.0, first_byte_s=20.0, read_s=20.0, slot_s=20.0, idle_s=60.0)
"""Where something is to be given up, one of them is shorter; nothing that is to be heard is waited for so briefly."""

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
        timeouts: Timeouts = PATIENT,
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
    wait_until(lambda: _sockets() <= before, 30.0, "a socket is left")  # the servers of other threads end theirs


def _sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue  # the listing's own descriptor
    return count


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(encoding) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
