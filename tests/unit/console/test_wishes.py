"""Does a look at a dataflow that is wanted find which others it would meet, and say what to do?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.console.checks import Verdict
from penstock.console.flows import Flow
from penstock.console.wishes import Wish, overlaps, tag_command, version_command
from penstock.model import AddressingStyle, Bucket, BucketKind

THERE = Flow(
    file_system_id="bmcpfs-1", id="df-1", path="/train/", storage="oss://bucket", prefix="/data/", security="None",
    description="", status="Running", error="", created_ns=1, updated_ns=1,
)  # fmt: skip


def found(path: str, prefix: str, *, bucket: str = "bucket", file_system_id: str = "bmcpfs-1") -> list[str]:
    """What is said of a wish beside the dataflow that is there."""
    wish = Wish(file_system_id=file_system_id, path=path, bucket=bucket, prefix=prefix)
    checks = overlaps(wish, [THERE])
    assert all(each.verdict is Verdict.WARNS and "df-1" in each.words and each.advice for each in checks)
    return [each.words.split(" of dataflow")[0].split(" is that")[0] for each in checks]


@pytest.mark.parametrize(
    ("path", "prefix", "words"),
    [
        ("/other/", "/elsewhere/", []),
        ("/training/", "/data2/", []),
        ("/train/run-7/", "/elsewhere/", ["Directory /train/run-7/ lies in /train/"]),
        ("/", "/elsewhere/", ["Directory /train/"]),
        ("/other/", "/data/run-7/", ["Prefix /data/run-7/ lies in /data/"]),
        ("/other/", "/", ["Prefix /data/"]),
        ("/train/", "/data/", ["Directory /train/", "Prefix /data/"]),
    ],
)
def test_both_ends_are_compared(path: str, prefix: str, words: list[str]) -> None:
    assert found(path, prefix) == words


def test_what_shares_no_end_meets_nobody() -> None:
    assert found("/train/", "/data/", file_system_id="bmcpfs-2") == ["Prefix /data/"]
    assert found("/train/x/", "/data/", bucket="another") == ["Directory /train/x/ lies in /train/"]
    assert found("/train/", "/data/", bucket="another", file_system_id="bmcpfs-2") == []


@pytest.mark.parametrize("kind", [BucketKind.OSS, BucketKind.S3])
def test_commands_for_a_store_name_where_it_is(kind: BucketKind) -> None:
    bucket = Bucket(
        name="bucket", kind=kind, endpoint="https://store.example", region="here",
        addressing_style=AddressingStyle.PATH,
    )  # fmt: skip
    assert all("https://store.example" in command(bucket) for command in (tag_command, version_command))


def test_a_dataflow_that_is_bound_to_a_fileset_has_its_directory() -> None:
    form = {"file_system_id": "cpfs-1", "bucket": "bucket", "fset_id": " fset-1 ", "throughput": "600"}
    wish = Wish.of(form)
    asked = wish.parameters("oss")
    assert "FileSystemPath" not in asked
    assert (asked["FsetId"], asked["Throughput"]) == ("fset-1", "600")
    assert [
        each.words.split(" of dataflow")[0] for each in overlaps(wish, [replace(THERE, file_system_id="cpfs-1")])
    ] == ["Prefix /data/"]
    assert Wish.of({**form, "path": "set"}).parameters("oss")["FileSystemPath"] == "/set/"
    assert not {"FsetId", "Throughput"} & Wish.of({"path": "/"}).parameters("oss").keys()
