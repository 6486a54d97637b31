"""Which object do clients really ask for when a key has dots or nothing between slashes? As docs/compatibility.md tells it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import alibabacloud_oss_v2 as oss
import boto3
import opendal
import pytest
from botocore.config import Config

from penstock.errors import PermissionDeniedError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.opening import open_store
from tests.conformance.stores.driving import put, read, upload

KEYS = ("a/../b", "./x", "a/./b", "a//b", "../up", "a/..")
AS_THEY_STAND = {key: f"/bucket/{key}" for key in KEYS}
TIDIED = {
    "a/../b": "/bucket/b", "./x": "/bucket/x", "a/./b": "/bucket/a/b", "a//b": "/bucket/a//b", "../up": "/up", "a/..": "/bucket/",
}  # fmt: skip
FORBIDDEN = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"


class Listener:
    """Refuses every request, and remembers the paths."""

    def __init__(self) -> None:
        self.heard: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def refuse(this) -> None:
                this.rfile.read(int(this.headers.get("content-length") or 0))
                self.heard.append(this.path.partition("?")[0])
                this.send_response(403)
                this.send_header("content-length", str(len(FORBIDDEN)))
                this.end_headers()
                this.wfile.write(FORBIDDEN)

            do_GET = do_PUT = do_POST = refuse

            def log_message(this, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


Ask = Callable[[str], object]


def penstock(kind: BucketKind) -> Callable[[str], Iterator[Ask]]:
    def asking(endpoint: str) -> Iterator[Ask]:
        bucket = Bucket(
            name="bucket", kind=kind, endpoint=endpoint, region="us-east-1", addressing_style=AddressingStyle.PATH
        )
        store = open_store(bucket, Credentials(access_key_id="id", access_key_secret="secret"))

        def ask(key: str) -> None:
            for verb in (read, put):
                with pytest.raises(PermissionDeniedError):
                    verb(store, key)
            upload(store, key, [b"x"])

        yield ask
        store.close()

    return asking


def by_boto3(endpoint: str) -> Iterator[Ask]:
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    yield lambda key: client.get_object(Bucket="bucket", Key=key)
    client.close()


def by_oss_sdk(endpoint: str) -> Iterator[Ask]:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider("id", "secret")
    config.region, config.endpoint = "cn-hangzhou", endpoint
    client = oss.Client(config)
    yield lambda key: client.get_object(oss.GetObjectRequest(bucket="bucket", key=key))


def by_opendal(endpoint: str) -> Iterator[Ask]:
    operator = opendal.Operator(
        "oss",
        bucket="bucket",
        endpoint=endpoint,
        addressing_style="path",
        access_key_id="id",
        access_key_secret="secret",
    )
    yield lambda key: operator.write(key, b"x")


@pytest.mark.parametrize(
    ("client", "asks_for"),
    [
        (penstock(BucketKind.OSS), AS_THEY_STAND),
        (penstock(BucketKind.S3), AS_THEY_STAND),
        (by_boto3, AS_THEY_STAND),
        (by_oss_sdk, TIDIED),
        (by_opendal, {**TIDIED, "a//b": "/bucket/a/b"}),
    ],
    ids=["penstock oss", "penstock s3", "boto3", "oss sdk", "opendal"],
)
def test_which_object_a_client_asks_for(
    listener: Listener, client: Callable[[str], Iterator[Ask]], asks_for: Mapping[str, str]
) -> None:
    found: dict[str, set[str]] = {}
    with contextlib.contextmanager(client)(listener.endpoint) as ask:
        for key in KEYS:
            listener.heard.clear()
            with pytest.raises(Exception, match=r"(?i)denied|forbidden"):
                ask(key)
            found[key] = set(listener.heard)
    assert found == {key: {path} for key, path in asks_for.items()}
