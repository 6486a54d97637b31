"""Versions, temporary keys, conditions and the errors of multipart uploads, as clients of others see them here."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import alibabacloud_oss_v2 as oss
import pytest

from tests.conformance.clients.strangers import (
    PART_BYTES,
    MissingError,
    OpendalStranger,
    RefusedError,
    SdkStranger,
    UnmetError,
    VersionedStranger,
    sdk_client,
)
from tests.conformance.stores.driving import noise
from tests.fixtures.emulator import EmulatorServer, start_emulator

CLIENTS = ["sdk-v4", "sdk-v1", "opendal"]


def stranger(name: str, server: EmulatorServer, bucket: str, *, token: str = "") -> VersionedStranger:
    if name == "opendal":
        return OpendalStranger(server, bucket, token=token)
    return SdkStranger(sdk_client(server, name.removeprefix("sdk-"), token=token), bucket)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, emulator: EmulatorServer) -> VersionedStranger:
    """One of them, with a bucket of its own that keeps versions."""
    return stranger(request.param, emulator, emulator.bucket(versioning="Enabled"))


# ------------------------------------------------------------------------------------------------------------- versions


def test_every_version_can_be_listed_and_read(client: VersionedStranger) -> None:
    for number in range(4):
        client.put("k", b"%d" % number)
        client.put("k2", b"other")
    told = client.versions("k")
    kept = [version for key, version in told if key == "k"]
    assert len(set(kept)) == 4
    assert len(told) == 8
    assert sorted(client.get_version("k", version) for version in kept) == [b"0", b"1", b"2", b"3"]
    assert client.get("k") == b"3"


def test_a_deletion_hides_what_it_does_not_name_and_removes_what_it_names(client: VersionedStranger) -> None:
    client.put("k", b"first")
    client.put("k", b"second")
    versions = {client.get_version("k", version): version for _, version in client.versions("k")}
    client.delete("k")
    with pytest.raises(MissingError):
        client.get("k")
    assert client.get_version("k", versions[b"first"]) == b"first"
    client.delete_version("k", versions[b"second"])
    with pytest.raises(MissingError):
        client.get_version("k", versions[b"second"])
    assert client.get_version("k", versions[b"first"]) == b"first"


def test_a_version_that_never_was_is_missing(client: VersionedStranger) -> None:
    client.put("k", b"x")
    (version,) = [version for _, version in client.versions("k")]
    client.delete_version("k", version)
    with pytest.raises(MissingError):
        client.get_version("k", version)
    assert client.versions("k") == []


def test_an_upload_in_parts_makes_a_version(client: VersionedStranger) -> None:
    body = noise(2 * PART_BYTES + 1)
    client.put("k", b"before")
    client.put_in_parts("k", body)
    assert sorted(len(client.get_version("k", version)) for _, version in client.versions("k")) == [6, len(body)]


# ----------------------------------------------------------------------------------------------------------- conditions


def test_reads_on_a_condition(client: VersionedStranger) -> None:
    client.put("k", b"x")
    etag = client.etag("k")
    assert client.get_if_match("k", etag) == b"x"
    with pytest.raises(UnmetError):
        client.get_if_match("k", '"00000000000000000000000000000000"')
    with pytest.raises(UnmetError):
        client.get_if_none_match("k", etag)
    assert client.get_if_none_match("k", '"00000000000000000000000000000000"') == b"x"


# ------------------------------------------------------------------------------------------------------- temporary keys


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmulatorServer, str]]:
    """An emulator whose only key is a temporary one, and the key's token."""
    root: Path = tmp_path_factory.mktemp("temporary") / "root"
    token = f"CAIS{secrets.token_urlsafe(200)}+/="
    file = root.with_name("root.keys")
    file.touch(mode=0o600)
    file.write_text(f"STS.{secrets.token_hex(8)} {secrets.token_hex(16)} {token}\n")
    server = start_emulator(root)
    try:
        yield server, token
    finally:
        server.stop()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_temporary_key_works_with_its_token(temporary: tuple[EmulatorServer, str], name: str) -> None:
    server, token = temporary
    client = stranger(name, server, server.bucket(), token=token)
    client.put("dir/a b", b"x", metadata={"name": "value"})
    client.put_in_parts("parts", noise(2 * PART_BYTES))
    client.copy("dir/a b", "copy")
    assert (client.get("copy"), client.keys("dir/")) == (b"x", ["dir/a b"])
    client.delete("copy")


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("wrong", ["", "another"])
def test_a_temporary_key_does_nothing_without_it(temporary: tuple[EmulatorServer, str], name: str, wrong: str) -> None:
    server, token = temporary
    bucket = server.bucket()
    stranger(name, server, bucket, token=token).put("k", b"kept")
    client = stranger(name, server, bucket, token=wrong)
    acts: list[Callable[[], Any]] = [
        lambda: client.put("k", b"other"),
        lambda: client.get("k"),
        lambda: client.delete("k"),
        lambda: client.keys(""),
    ]
    for act in acts:
        with pytest.raises(RefusedError):
            act()
    assert stranger(name, server, bucket, token=token).get("k") == b"kept"


@pytest.mark.parametrize("signature", ["v4", "v1"])
def test_a_signed_url_of_a_temporary_key(temporary: tuple[EmulatorServer, str], signature: str) -> None:
    server, token = temporary
    bucket = server.bucket()
    client = sdk_client(server, signature, token=token)
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="a b", body=b"by URL"))
    url = client.presign(oss.GetObjectRequest(bucket=bucket, key="a b")).url or ""
    assert plain_get(url) == (200, b"by URL")
    assert plain_get(url.replace("CAIS", "CAIT"))[0] == 403


def plain_get(url: str) -> tuple[int, bytes]:
    """The status and body of a GET by a client that knows no OSS at all."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# -------------------------------------------------------------------------------------------------- multipart, by the SDK


@pytest.fixture(params=["v4", "v1"])
def sdk(request: pytest.FixtureRequest, emulator: EmulatorServer) -> oss.Client:
    return sdk_client(emulator, request.param)


@pytest.fixture
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


def code(act: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(oss.exceptions.OperationError) as caught:
        act()
    cause = caught.value.unwrap()
    return cause.status_code, cause.code


def begin(sdk: oss.Client, bucket: str, sizes: list[int]) -> tuple[str, list[oss.UploadPart]]:
    """An upload with parts of these sizes, numbered 2, 4, 6 ..."""
    upload = sdk.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=bucket, key="k")).upload_id or ""
    parts = []
    for place, size in enumerate(sizes, start=1):
        sent = sdk.upload_part(
            oss.UploadPartRequest(bucket=bucket, key="k", upload_id=upload, part_number=2 * place, body=bytes(size))
        )
        parts.append(oss.UploadPart(part_number=2 * place, etag=sent.etag))
    return upload, parts


def completing(sdk: oss.Client, bucket: str, upload: str, parts: list[oss.UploadPart]) -> Callable[[], Any]:
    named = oss.CompleteMultipartUpload(parts=parts)
    request = oss.CompleteMultipartUploadRequest(
        bucket=bucket, key="k", upload_id=upload, complete_multipart_upload=named
    )
    return lambda: sdk.complete_multipart_upload(request)


def test_wrong_completions_say_what_is_wrong_and_change_nothing(sdk: oss.Client, bucket: str) -> None:
    sdk.put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=b"before"))
    upload, parts = begin(sdk, bucket, [PART_BYTES, PART_BYTES, 1])
    first, second, last = parts
    for named, told in [
        ([second, first], (400, "InvalidPartOrder")),
        ([first, first], (400, "InvalidPartOrder")),
        ([first, oss.UploadPart(part_number=4, etag=last.etag)], (400, "InvalidPart")),
        ([first, oss.UploadPart(part_number=5, etag=first.etag)], (400, "InvalidPart")),
        ([], (400, "MalformedXML")),
    ]:
        assert code(completing(sdk, bucket, upload, named)) == told
        assert sdk.get_object(oss.GetObjectRequest(bucket=bucket, key="k")).body.content == b"before"
    completing(sdk, bucket, upload, [first, last])()
    assert sdk.head_object(oss.HeadObjectRequest(bucket=bucket, key="k")).content_length == PART_BYTES + 1


def test_a_small_part_is_refused_unless_it_is_the_last(sdk: oss.Client, bucket: str) -> None:
    upload, parts = begin(sdk, bucket, [PART_BYTES - 1, 1])
    assert code(completing(sdk, bucket, upload, parts)) == (400, "EntityTooSmall")
    completing(sdk, bucket, upload, parts[:1])()


def test_an_upload_that_ended_is_unknown(sdk: oss.Client, bucket: str) -> None:
    for ended in ("completed", "aborted"):
        upload, parts = begin(sdk, bucket, [1])
        aborting = oss.AbortMultipartUploadRequest(bucket=bucket, key="k", upload_id=upload)
        if ended == "completed":
            completing(sdk, bucket, upload, parts)()
        else:
            sdk.abort_multipart_upload(aborting)
        part = oss.UploadPartRequest(bucket=bucket, key="k", upload_id=upload, part_number=1, body=b"x")
        listing = oss.ListPartsRequest(bucket=bucket, key="k", upload_id=upload)
        for act in (
            partial(sdk.upload_part, part),
            partial(sdk.list_parts, listing),
            partial(sdk.abort_multipart_upload, aborting),
            completing(sdk, bucket, upload, parts),
        ):
            assert code(act) == (404, "NoSuchUpload")


def test_part_numbers_have_bounds(sdk: oss.Client, bucket: str) -> None:
    upload, _ = begin(sdk, bucket, [])
    for number in (0, 10_001):
        request = oss.UploadPartRequest(bucket=bucket, key="k", upload_id=upload, part_number=number, body=b"x")
        assert code(partial(sdk.upload_part, request)) == (400, "InvalidArgument")


def test_a_part_with_another_digest_is_not_kept(sdk: oss.Client, bucket: str) -> None:
    upload, _ = begin(sdk, bucket, [])
    request = oss.UploadPartRequest(
        bucket=bucket, key="k", upload_id=upload, part_number=1, body=b"x", content_md5="1B2M2Y8AsgTpgAmY7PhCfg=="
    )
    assert code(lambda: sdk.upload_part(request)) == (400, "InvalidDigest")
    listed = sdk.list_parts(oss.ListPartsRequest(bucket=bucket, key="k", upload_id=upload))
    assert not listed.parts
