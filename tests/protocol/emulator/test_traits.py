"""What an object has beside its bytes: ACL, tags, what a link points to, a restored copy. And who comes in unsigned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest

from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.fixtures.waiting import wait_until
from tests.protocol.emulator.wire import Reply, connect, read, send


@pytest.fixture
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


def failure(caught: pytest.ExceptionInfo[Any]) -> tuple[int, str]:
    cause = caught.value.unwrap()
    return cause.status_code, cause.code


def unsigned(
    server: EmulatorServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Reply:
    connection = connect(server)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return read(connection)
    finally:
        connection.close()


# ----------------------------------------------------------------------------------------------------------------- ACL


@pytest.mark.parametrize(
    ("bucket_acl", "object_acl", "expected"),
    [
        ("private", "default", (403, 403)),
        ("public-read", "default", (200, 403)),
        ("public-read-write", "default", (200, 200)),
        ("public-read-write", "private", (403, 403)),
        ("private", "public-read", (200, 403)),
        ("private", "public-read-write", (200, 200)),
    ],
)
def test_strangers_may_do_what_the_acl_says(
    emulator: EmulatorServer, client: oss.Client, bucket_acl: str, object_acl: str, expected: tuple[int, int]
) -> None:
    bucket, (reads, writes) = emulator.bucket(), expected
    client.put_bucket_acl(oss.PutBucketAclRequest(bucket=bucket, acl=bucket_acl))
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=b"x", acl=object_acl))
    assert client.get_bucket_acl(oss.GetBucketAclRequest(bucket=bucket)).acl == bucket_acl
    assert client.get_object_acl(oss.GetObjectAclRequest(bucket=bucket, key="k")).acl == object_acl
    assert unsigned(emulator, "GET", f"/{bucket}/k").status == reads
    assert unsigned(emulator, "HEAD", f"/{bucket}/k").status == reads
    assert unsigned(emulator, "PUT", f"/{bucket}/k", b"y").status == writes
    new = unsigned(emulator, "PUT", f"/{bucket}/new", b"y").status
    assert new == (200 if bucket_acl == "public-read-write" else 403)


def test_no_acl_lets_strangers_list_or_change_rights(emulator: EmulatorServer, client: oss.Client, bucket: str) -> None:
    client.put_bucket_acl(oss.PutBucketAclRequest(bucket=bucket, acl="public-read-write"))
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=b"x"))
    for method, path in [("GET", ""), ("GET", "?acl"), ("GET", "/k?acl"), ("PUT", "/k?acl"), ("GET", "/k?tagging")]:
        reply = unsigned(emulator, method, f"/{bucket}{path}", b"" if method == "PUT" else None)
        assert (reply.status, reply.code) == (403, "AccessDenied"), (method, path)
    assert unsigned(emulator, "GET", f"/{bucket}/k?response-content-type=text/html").code == "InvalidRequest"
    assert unsigned(emulator, "GET", "/no-such-bucket-here/k").code == "NoSuchBucket"


def test_strangers_read_nothing_private_by_a_detour(emulator: EmulatorServer, client: oss.Client, bucket: str) -> None:
    client.put_bucket_acl(oss.PutBucketAclRequest(bucket=bucket, acl="public-read-write"))
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="private", body=b"x", acl="private"))
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="open", body=b"y"))
    for name in ("private", "open"):
        target = {"x-oss-symlink-target": name}
        assert unsigned(emulator, "PUT", f"/{bucket}/to-{name}?symlink", b"", target).status == 200
    assert unsigned(emulator, "GET", f"/{bucket}/to-open").body == b"y"
    source, rights = {"x-oss-copy-source": f"/{bucket}/private"}, {"x-oss-object-acl": "public-read"}
    for reply in (
        unsigned(emulator, "GET", f"/{bucket}/to-private"),
        unsigned(emulator, "HEAD", f"/{bucket}/to-private"),
        unsigned(emulator, "PUT", f"/{bucket}/copied", b"", source),
        unsigned(emulator, "PUT", f"/{bucket}/mine", b"z", rights),
        unsigned(emulator, "DELETE", f"/{bucket}/private"),
    ):
        assert (reply.status, reply.code) == (403, "AccessDenied")


def test_an_acl_changes_without_a_new_version(emulator: EmulatorServer, client: oss.Client) -> None:
    bucket = emulator.bucket(versioning="Enabled")
    first, second = (
        client.put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=body)).version_id for body in (b"1", b"2")
    )
    client.put_object_acl(oss.PutObjectAclRequest(bucket=bucket, key="k", acl="public-read", version_id=first))
    found = [
        client.get_object_acl(oss.GetObjectAclRequest(bucket=bucket, key="k", version_id=version)).acl
        for version in (first, second)
    ]
    assert found == ["public-read", "default"]
    assert unsigned(emulator, "GET", f"/{bucket}/k").status == 403
    assert unsigned(emulator, "GET", f"/{bucket}/k?versionId={first}").body == b"1"
    assert len(client.list_object_versions(oss.ListObjectVersionsRequest(bucket=bucket)).version) == 2
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_object_acl(oss.PutObjectAclRequest(bucket=bucket, key="k", acl="everyone"))
    assert failure(caught) == (400, "InvalidArgument")


# ---------------------------------------------------------------------------------------------------------------- tags


def tags_of(client: oss.Client, bucket: str, key: str) -> dict[str, str]:
    told = client.get_object_tagging(oss.GetObjectTaggingRequest(bucket=bucket, key=key))
    return {tag.key: tag.value or "" for tag in told.tag_set.tags or []}


def test_tags_come_with_a_put_and_go_with_a_copy(client: oss.Client, bucket: str) -> None:
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=b"x", tagging="a=1&%E4%B8%AD=%2B%20"))
    assert tags_of(client, bucket, "k") == {"a": "1", "中": "+ "}
    assert client.head_object(oss.HeadObjectRequest(bucket=bucket, key="k")).tagging_count == 2
    client.copy_object(oss.CopyObjectRequest(bucket=bucket, key="copied", source_key="k", source_bucket=bucket))
    assert tags_of(client, bucket, "copied") == {"a": "1", "中": "+ "}
    client.copy_object(
        oss.CopyObjectRequest(
            bucket=bucket, key="other", source_key="k", source_bucket=bucket, tagging="b=2", tagging_directive="Replace"
        )
    )
    assert tags_of(client, bucket, "other") == {"b": "2"}
    replacement = oss.Tagging(tag_set=oss.TagSet(tags=[oss.Tag(key="c", value="")]))
    client.put_object_tagging(oss.PutObjectTaggingRequest(bucket=bucket, key="k", tagging=replacement))
    assert tags_of(client, bucket, "k") == {"c": ""}
    client.delete_object_tagging(oss.DeleteObjectTaggingRequest(bucket=bucket, key="k"))
    assert tags_of(client, bucket, "k") == {}


@pytest.mark.parametrize(
    "tagging", ["=1", f"{'k' * 129}=1", f"k={'v' * 257}", "k=1&k=2", "%25=1", "&".join(f"k{n}=1" for n in range(11))]
)
def test_tags_that_cannot_be(client: oss.Client, emulator: EmulatorServer, bucket: str, tagging: str) -> None:
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=b"x", tagging=tagging))
    assert failure(caught) == (400, "InvalidTag")
    assert send(emulator, "HEAD", bucket, "k").status == 404


# --------------------------------------------------------------------------------------------------------------- links


def test_a_link_reads_as_its_target(client: oss.Client, bucket: str) -> None:
    put = client.put_object(oss.PutObjectRequest(bucket=bucket, key="dir/target", body=b"target's"))
    client.put_symlink(
        oss.PutSymlinkRequest(bucket=bucket, key="link", symlink_target="dir/target", metadata={"mine": "link's"})
    )
    told = client.get_symlink(oss.GetSymlinkRequest(bucket=bucket, key="link"))
    assert (told.target, dict(told.metadata)) == ("dir/target", {"mine": "link's"})
    got = client.get_object(oss.GetObjectRequest(bucket=bucket, key="link"))
    assert (got.body.content, got.etag, got.object_type) == (b"target's", put.etag, "Symlink")
    assert (got.metadata["mine"], got.hash_crc64) == ("link's", put.hash_crc64)
    listed = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket)).contents
    assert [(entry.key, entry.object_type, entry.size) for entry in listed] == [
        ("dir/target", "Normal", 8),
        ("link", "Symlink", 0),
    ]


def test_links_that_lead_nowhere(client: oss.Client, bucket: str) -> None:
    for key, target in [("loose", "missing"), ("chained", "loose")]:
        client.put_symlink(oss.PutSymlinkRequest(bucket=bucket, key=key, symlink_target=target))
    for key, expected in [("loose", (404, "SymlinkTargetNotExist")), ("chained", (400, "InvalidTargetType"))]:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            client.get_object(oss.GetObjectRequest(bucket=bucket, key=key))
        assert failure(caught) == expected
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="plain", body=b""))
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.get_symlink(oss.GetSymlinkRequest(bucket=bucket, key="plain"))
    assert failure(caught) == (400, "NotSymlink")


# ------------------------------------------------------------------------------------------------------------- archive


@pytest.fixture
def quick(tmp_path: Any) -> Iterator[EmulatorServer]:
    """One that restores objects in half a second."""
    server = start_emulator(tmp_path / "root", options=["--restore-s", "0.5"])
    yield server
    server.stop()


def test_an_archived_object_is_read_once_it_is_restored(quick: EmulatorServer) -> None:
    bucket = quick.bucket()
    send(quick, "PUT", bucket, "cold", headers={"x-oss-storage-class": "Archive"}, body=b"x" * 100_000)
    send(quick, "PUT", bucket, "warm", body=b"x")
    assert send(quick, "GET", bucket, "cold").code == "InvalidObjectState"
    copy = {"x-oss-copy-source": f"/{bucket}/cold"}
    assert send(quick, "PUT", bucket, "copy", headers=copy).code == "InvalidObjectState"
    assert send(quick, "POST", bucket, "warm", query={"restore": ""}).code == "OperationNotSupported"
    for days in ("0", "8", "0000000010000000", "000000001" + "5" * 5000):
        body = f"<RestoreRequest><Days>{days}</Days></RestoreRequest>".encode()
        refused = send(quick, "POST", bucket, "cold", query={"restore": ""}, body=body)
        assert (refused.status, refused.code) == (400, "InvalidArgument"), days[:20]
    assert send(quick, "POST", bucket, "cold", query={"restore": ""}).status == 202
    again = send(quick, "POST", bucket, "cold", query={"restore": ""})
    if again.status != 200:  # a machine that took more than half a second has restored it by now
        assert (again.status, again.code) == (409, "RestoreAlreadyInProgress")
    wait_until(lambda: send(quick, "GET", bucket, "cold").status == 200, 20, "the object was not restored")
    head = send(quick, "HEAD", bucket, "cold")
    assert head.headers["x-oss-restore"].startswith('ongoing-request="false", expiry-date="')
    assert send(quick, "POST", bucket, "cold", query={"restore": ""}).status == 200
    assert b"ongoing-request" in send(quick, "GET", bucket).body


def test_a_temporary_key_comes_with_its_token(tmp_path: Any) -> None:
    root = tmp_path / "root"
    (tmp_path / "root.keys").write_text("STS.key secretsecret the-token\n")
    server = start_emulator(root)
    try:
        bucket = server.bucket()
        for token, expected in [("the-token", 200), ("another", 403), ("", 403)]:
            headers = {"x-oss-security-token": token} if token else {}
            reply = send(server, "PUT", bucket, "k", headers=headers, body=b"x")
            assert reply.status == expected
            assert reply.code == {"the-token": "", "another": "InvalidSecurityToken", "": "InvalidAccessKeyId"}[token]
    finally:
        server.stop()
