"""What is chosen for a bucket goes along with the requests it belongs to: proxies, payers, classes, checksums, restoring."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import fastcrc
import pytest

from penstock.errors import IntegrityError, StoreRefusedError, StoreUnavailableError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials, ExportOptions, Verify
from penstock.stores.base import Overwrite, Store
from penstock.stores.opening import Timeouts, open_store
from tests.faults.stores.conftest import PATIENT, SECRET
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer

CRC64 = int(fastcrc.crc64.xz(b"body"))
INITIATED = b"<InitiateMultipartUploadResult><Key>key</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><Key>key</Key><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>"
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
PROXIED_HOST = "bucket.oss-cn-hangzhou.aliyuncs.com"


def bucket(kind: BucketKind, endpoint: str) -> Bucket:
    return Bucket(
        name="bucket",
        kind=kind,
        endpoint=endpoint,
        region="cn-hangzhou",
        addressing_style=AddressingStyle.PATH,
        abilities={"crc64": kind is BucketKind.OSS},
    )


def opened(known: Bucket, timeouts: Timeouts = PATIENT) -> Store:
    return open_store(known, Credentials(access_key_id="LTAIkey", access_key_secret=SECRET), timeouts=timeouts)


def headers(head: str) -> Mapping[str, str]:
    lines = (line.partition(": ") for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, _, value in lines}


def taking(heard: list[str], *answers: bytes) -> Callable[[Peer], None]:
    """Answers so many requests on one connection, and remembers their heads."""

    def scene(peer: Peer) -> None:
        for said in answers:
            heard.append(peer.read_request())
            peer.send(said)

    return scene


STORED = answer("200 OK", etag='"E"', x_oss_hash_crc64ecma=str(CRC64))


def write_all(store: Store) -> None:
    """PUT, Initiate, a part, Complete."""
    store.put("key", [b"body"], crc64=CRC64, metadata={"name": "value"}, precondition=Overwrite())
    upload_id = store.initiate("key", metadata={"name": "value"})
    part = store.put_part("key", upload_id, 1, [b"body"], crc64=CRC64)
    store.complete("key", upload_id, [part], precondition=Overwrite())


EXPORT = ExportOptions(storage_class="IA", acl="private", encryption="KMS", encryption_key="k-1")


@pytest.mark.parametrize(
    ("kind", "named", "acl"),
    [
        (
            BucketKind.OSS,
            {"x-oss-storage-class": "IA", "x-oss-server-side-encryption": "KMS",
             "x-oss-server-side-encryption-key-id": "k-1"},
            ("x-oss-object-acl", [True, False, False, True]),
        ),
        (
            BucketKind.S3,
            {"x-amz-storage-class": "IA", "x-amz-server-side-encryption": "KMS",
             "x-amz-server-side-encryption-aws-kms-key-id": "k-1"},
            ("x-amz-acl", [True, True, False, False]),
        ),
    ],
)  # fmt: skip
def test_new_objects_are_given_what_was_chosen(
    kind: BucketKind, named: dict[str, str], acl: tuple[str, list[bool]]
) -> None:
    heard: list[str] = []
    scene = taking(heard, STORED, answer("200 OK", INITIATED), STORED, answer("200 OK", COMPLETED))
    with ScriptedServer(scene) as server:
        store = opened(replace(bucket(kind, server.endpoint), export=EXPORT))
        write_all(store)
        store.close()
    put, initiate, part, complete = (headers(head) for head in heard)
    for one in (put, initiate):
        assert {name: one.get(name) for name in named} == named
    for one in (part, complete):
        assert not set(named) & set(one)
    assert [one.get(acl[0]) == "private" for one in (put, initiate, part, complete)] == acl[1]
    for one in (put, initiate, complete):
        assert kind is BucketKind.OSS or all(name in one["authorization"] for name in one if name.startswith("x-amz-"))


@pytest.mark.parametrize(
    ("kind", "header"), [(BucketKind.OSS, "x-oss-request-payer"), (BucketKind.S3, "x-amz-request-payer")]
)
def test_every_request_says_who_pays(kind: BucketKind, header: str) -> None:
    heard: list[str] = []
    with ScriptedServer(taking(heard, STORED, object_answer(b""), answer("200 OK", LISTED))) as server:
        store = opened(replace(bucket(kind, server.endpoint), requester_pays=True))
        store.put("key", [b"body"], crc64=CRC64, metadata={}, precondition=Overwrite())
        with store.heeding(lambda: False).get("key"):
            pass
        store.list_objects()
        store.close()
    assert [headers(head).get(header) for head in heard] == ["requester"] * 3


# --------------------------------------------------------------------------------------------------------------- proxies


def through_proxy(
    kind: BucketKind, proxy: str, endpoint: str, *, ca_file: str = "", timeouts: Timeouts = PATIENT
) -> Store:
    known = replace(bucket(kind, endpoint), addressing_style=AddressingStyle.VIRTUAL_HOST, proxy=proxy, ca_file=ca_file)
    return opened(known, timeouts)


def test_a_proxy_is_told_the_whole_url_and_the_bucket_stands_in_the_host() -> None:
    heard: list[str] = []
    with ScriptedServer(taking(heard, object_answer(b"body"))) as proxy:
        store = through_proxy(BucketKind.OSS, proxy.endpoint, "http://oss-cn-hangzhou.aliyuncs.com")
        with store.get("a key"):
            pass
        store.close()
    assert heard[0].startswith(f"GET http://{PROXIED_HOST}:80/a%20key HTTP/1.1\r\n")
    assert headers(heard[0])["host"] == PROXIED_HOST


def test_tls_goes_through_a_tunnel_of_which_the_proxy_understands_nothing(
    tls: ssl.SSLContext,
    certificate: Path,
) -> None:
    heard: list[str] = []
    with ScriptedServer(taking(heard, object_answer(b"body")), tls=tls) as server:

        def leading(peer: Peer) -> None:
            heard.append(peer.read_head())
            peer.send(b"HTTP/1.1 200 Connection established\r\nvia: somebody\r\n\r\n")
            with socket.create_connection(("127.0.0.1", server.port)) as far:
                back = threading.Thread(target=pump, args=(far, peer._sock))
                back.start()
                pump(peer._sock, far)
                back.join(60)

        with ScriptedServer(leading) as proxy:
            known = replace(bucket(BucketKind.OSS, server.endpoint), proxy=proxy.endpoint, ca_file=str(certificate))
            store = opened(known)
            with store.get("key") as stream:
                buffer = bytearray(9)
                assert stream.readinto(memoryview(buffer)) == 4
            store.close()
    assert heard[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
    assert heard[1].startswith("GET /bucket/key HTTP/1.1\r\n")
    assert "authorization" not in headers(heard[0])


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other way has ended both


def refusing(peer: Peer) -> None:
    peer.read_head()
    peer.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")


def mute(peer: Peer) -> None:
    peer.wait_for_close()


def chatting(peer: Peer) -> None:
    peer.read_head()
    peer.send_until_refused(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000, 100)


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (refusing, "407 Proxy Authentication Required"),
        (mute, "no connection .* within"),
        (chatting, "no answer that can be read"),
    ],
    ids=["refusing", "mute", "chatting"],
)
def test_a_proxy_that_leads_nowhere_is_named(scene: Callable[[Peer], None], words: str) -> None:
    with ScriptedServer(scene) as proxy:
        store = through_proxy(
            BucketKind.OSS,
            proxy.endpoint,
            "https://oss-cn-hangzhou.aliyuncs.com",
            timeouts=replace(PATIENT, connect_s=0.5),
        )
        with pytest.raises(StoreUnavailableError, match=words) as caught, store.get("key"):
            pass
        store.close()
    assert f"through the proxy 127.0.0.1:{proxy.port}" in str(caught.value)


# ------------------------------------------------------------------------------------------------------------- archives


@pytest.mark.parametrize(
    ("kind", "said"),
    [(BucketKind.OSS, answer("202 Accepted")), (BucketKind.S3, answer("200 OK")),
     (BucketKind.OSS, answer("409 Conflict", error_body("RestoreAlreadyInProgress")))],
)  # fmt: skip
def test_restoring_is_asked_for_and_may_be_under_way(kind: BucketKind, said: bytes) -> None:
    heard: list[str] = []
    with ScriptedServer(taking(heard, said)) as server:
        store = opened(replace(bucket(kind, server.endpoint), restore_days=3))
        store.restore("key", version_id="v")
        store.close()
    assert heard[0].startswith("POST /bucket/key?restore&versionId=v HTTP/1.1\r\n")


def test_an_archived_object_is_said_to_be_one() -> None:
    with ScriptedServer(taking([], answer("403 Forbidden", error_body("InvalidObjectState")))) as server:
        store = opened(bucket(BucketKind.OSS, server.endpoint))
        with pytest.raises(StoreRefusedError, match="restore_days") as caught, store.get("key"):
            pass
        store.close()
    assert caught.value.code == "InvalidObjectState"


# ------------------------------------------------------------------------------------------------------------ checksums


class VerifyingServer:
    """As much of S3 as probing meets, with one checksum that it compares; `heard` are its requests' heads."""

    def __init__(
        self, algorithm: str, *, of_objects: bool = True, of_parts: bool = True, knows_uploads: bool = True
    ) -> None:
        self._header = "content-md5" if algorithm == "md5" else f"x-amz-checksum-{algorithm}"
        self._of = {"crc32c": _crc32c, "sha256": _sha256, "md5": _md5}[algorithm]
        self._of_objects, self._of_parts = of_objects, of_parts
        self._knows_uploads = knows_uploads
        self.refused_uploads = 0
        self.heard: list[str] = []

    def __call__(self, peer: Peer) -> None:
        while True:
            try:
                head = peer.read_head()
            except EOFError:
                return
            told = headers(head)
            body = peer.read_exactly(int(told.get("content-length", "0")))
            self.heard.append(head)
            peer.send(self._answer(head.split(" ", 2), told, body))

    def _answer(self, line: list[str], told: Mapping[str, str], body: bytes) -> bytes:
        method, target = line[:2]
        if method == "PUT":
            right = base64.b64encode(self._of(body)).decode()
            verifies = self._of_parts if "partNumber" in target else self._of_objects
            if verifies and told.get(self._header, right) != right:
                return answer("400 Bad Request", error_body("BadDigest"))
            return answer("200 OK", etag='"E"')
        if method == "HEAD":
            return answer("200 OK", etag='"E"', last_modified="Wed, 23 Oct 2024 16:28:16 GMT")
        if method == "DELETE":
            return answer("204 No Content")
        if "uploads" in target:
            if "x-amz-checksum-algorithm" in told and not self._knows_uploads:
                self.refused_uploads += 1
                return answer("400 Bad Request", error_body("InvalidRequest"))
            return answer("200 OK", INITIATED.replace(b"<Key>key</Key>", b""))
        if "uploadId" in target:
            return answer("200 OK", COMPLETED)
        if "tagging" in target or "versioning" in target:
            return answer("501 Not Implemented", error_body("NotImplemented"))
        return answer("200 OK", LISTED)


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _crc32c(body: bytes) -> bytes:
    return int(fastcrc.crc32.iscsi(body)).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("server", "found"),
    [
        (VerifyingServer("crc32c"), ("CRC32C", False)),
        (VerifyingServer("sha256"), ("SHA256", False)),
        (VerifyingServer("md5"), ("", True)),
        (VerifyingServer("crc32c", of_objects=False, of_parts=False), ("", False)),
        (VerifyingServer("crc32c", of_parts=False), ("", False)),
        (VerifyingServer("crc32c", of_objects=False), ("", False)),
        (VerifyingServer("md5", of_parts=False), ("", False)),
        (VerifyingServer("md5", of_objects=False), ("", False)),
        (VerifyingServer("crc32c", knows_uploads=False), ("", False)),
    ],
    ids=[
        "crc32c", "sha256", "md5", "looks away", "objects only", "parts only", "md5 of objects only", "md5 of parts only",
        "not for uploads",
    ],
)  # fmt: skip
def test_a_checksum_is_used_where_a_wrong_one_was_seen_to_be_refused_of_objects_and_of_parts(
    server: VerifyingServer, found: tuple[str, bool]
) -> None:
    with ScriptedServer(server) as running:
        store = opened(bucket(BucketKind.S3, running.endpoint))
        abilities = store.probe()
        store.close()
    assert (abilities.checksum.value, abilities.content_md5) == found
    begun = sum(head.startswith("POST ") and "?uploads" in head for head in server.heard)
    ended = sum(head.startswith("DELETE ") and "uploadId=" in head for head in server.heard)
    completed = sum(head.startswith("POST ") and "uploadId=" in head for head in server.heard)
    assert begun - server.refused_uploads <= ended + completed


@pytest.mark.parametrize("algorithm", ["crc32c", "sha256"])
def test_objects_parts_and_complete_carry_the_checksum_instead_of_md5(algorithm: str) -> None:
    server = VerifyingServer(algorithm)
    with ScriptedServer(server) as running:
        known = replace(bucket(BucketKind.S3, running.endpoint), abilities={"checksum": algorithm.upper()})
        store = opened(known)
        write_all(store)
        store.close()
    put, initiate, part, _ = (headers(head) for head in server.heard)
    header = f"x-amz-checksum-{algorithm}"
    assert put[header] == part[header]
    assert initiate["x-amz-checksum-algorithm"] == algorithm.upper()
    assert not any("content-md5" in one for one in (put, part))
    assert all(header in one["authorization"] for one in (put, part))


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA256"])
def test_an_etag_that_is_an_md5_is_compared_although_a_checksum_was_sent(algorithm: str) -> None:
    heard: list[str] = []
    right, wrong = (answer("200 OK", etag=f'"{_md5(body).hex()}"') for body in (b"body", b"bode"))
    with ScriptedServer(taking(heard, right, wrong, right, wrong)) as server:
        abilities: dict[str, str | bool | int] = {"checksum": algorithm, "part_etag_is_md5": True}
        store = opened(replace(bucket(BucketKind.S3, server.endpoint), abilities=abilities))
        store.put_part("key", "u", 1, [b"bo", b"dy"], crc64=None)
        with pytest.raises(IntegrityError, match=r"part 1 of 'key' .* MD5"):
            store.put_part("key", "u", 1, [b"body"], crc64=None)
        store.put("key", [b"body"], crc64=CRC64, metadata={}, precondition=Overwrite())
        with pytest.raises(IntegrityError, match=r"object 'key' .* MD5"):
            store.put("key", [b"body"], crc64=CRC64, metadata={}, precondition=Overwrite())
        store.close()
    assert all(f"x-amz-checksum-{algorithm.lower()}" in head and "content-md5" not in head for head in heard)


def test_a_refused_checksum_is_an_error_that_sending_again_can_mend() -> None:
    with ScriptedServer(taking([], answer("400 Bad Request", error_body("XAmzContentChecksumMismatch")))) as server:
        store = opened(replace(bucket(BucketKind.S3, server.endpoint), abilities={"checksum": "CRC32C"}))
        with pytest.raises(IntegrityError) as caught:
            store.put("key", [b"body"], crc64=CRC64, metadata={}, precondition=Overwrite())
        store.close()
    assert caught.value.waiting_helps


def test_reading_back_is_told_to_whoever_writes() -> None:
    store = opened(replace(bucket(BucketKind.S3, "http://127.0.0.1:1"), verify=Verify.READ_BACK))
    assert store.options.reads_back
    store.close()
