"""A bucket's table: endpoints of known services, where the bucket is named, and every choice written as it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import SettingsError
from penstock.model import AddressingStyle, Bucket, BucketKind, ExportOptions, Verify
from penstock.settings.entries import (
    Entry,
    addressing_trouble,
    bucket_of,
    bucket_values,
    default_style,
    is_credentials,
    region_of,
)

PATH, VIRTUAL, CNAME = AddressingStyle.PATH, AddressingStyle.VIRTUAL_HOST, AddressingStyle.CNAME
BUCKET = Bucket(
    name="mine",
    kind=BucketKind.OSS,
    endpoint="https://oss-cn-hangzhou.aliyuncs.com",
    region="cn-hangzhou",
    addressing_style=VIRTUAL,
)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou"),
        ("oss-ap-southeast-1-internal.aliyuncs.com", "ap-southeast-1"),
        ("vpc100-oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("s3.oss-cn-beijing-internal.aliyuncs.com", "cn-beijing"),
        ("cn-hangzhou.oss.aliyuncs.com", "cn-hangzhou"),
        ("ap-southeast-1.oss.aliyuncs.com", "ap-southeast-1"),
        ("mine.oss.aliyuncs.com", ""),  # the oldest form: a bucket's name
        ("my-data.oss.aliyuncs.com", ""),
        ("mine.cn-hangzhou.oss.aliyuncs.com", ""),
        ("ep-abc123.oss.cn-hangzhou.privatelink.aliyuncs.com", "cn-hangzhou"),
        ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("oss-accelerate.aliyuncs.com", ""),
        ("oss-accelerate-overseas.aliyuncs.com", ""),
        ("s3.amazonaws.com", ""),
        ("data.example.com", ""),
        ("oss-cn-hangzhou.aliyuncs.com.example.com", ""),
        ("127.0.0.1:8681", ""),
    ],
)
def test_the_region_is_read_off_endpoints_that_name_it(host: str, region: str) -> None:
    assert region_of(f"https://{host}") == region


@pytest.mark.parametrize(
    ("kind", "endpoint", "style"),
    [
        (BucketKind.OSS, "https://oss-cn-hangzhou.aliyuncs.com", VIRTUAL),
        (BucketKind.S3, "https://s3.oss-cn-hangzhou.aliyuncs.com", VIRTUAL),
        (BucketKind.OSS, "https://cn-hangzhou.oss.aliyuncs.com", VIRTUAL),
        (BucketKind.OSS, "https://data.example.com", VIRTUAL),
        (BucketKind.OSS, "http://127.0.0.1:1", PATH),
        (BucketKind.OSS, "http://[::1]:1", PATH),
        (BucketKind.OSS, "http://localhost:1", PATH),
        (BucketKind.S3, "https://s3.eu-west-1.amazonaws.com", PATH),
    ],
)
def test_where_the_bucket_is_named_unless_a_person_says(
    kind: BucketKind, endpoint: str, style: AddressingStyle
) -> None:
    assert default_style(kind, endpoint) is style
    assert addressing_trouble(style, endpoint, "mine") == ""


@pytest.mark.parametrize(
    ("style", "endpoint", "words"),
    [
        (PATH, "https://oss-cn-hangzhou.aliyuncs.com", "refuses path style"),
        (VIRTUAL, "http://127.0.0.1:1", "IP address"),
        (VIRTUAL, "https://mine.oss-cn-hangzhou.aliyuncs.com", "without the bucket's name"),
        (VIRTUAL, "https://mine.cn-hangzhou.oss.aliyuncs.com", "without the bucket's name"),
        (PATH, "https://cn-hangzhou.oss.aliyuncs.com", "refuses path style"),
        (CNAME, "https://mine.oss-cn-hangzhou.aliyuncs.com", ""),
    ],
)
def test_where_it_cannot_be_named_is_told(style: AddressingStyle, endpoint: str, words: str) -> None:
    assert words in addressing_trouble(style, endpoint, "mine")
    if words:
        with pytest.raises(SettingsError, match=r"\[bucket.mine\]"):
            read({**bucket_values(BUCKET), "endpoint": endpoint, "addressing_style": style.value})


def read(values: dict[str, object]) -> Bucket:
    return bucket_of(Entry(path=Path("penstock.toml"), table="bucket", name="mine", values=values))


@pytest.mark.parametrize(
    "bucket",
    [
        BUCKET,
        replace(BUCKET, addressing_style=CNAME, endpoint="https://data.example.com", proxy="http://127.0.0.1:3128"),
        replace(
            BUCKET,
            credentials="environment",
            requester_pays=True,
            exports=False,
            restore_days=7,
            verify=Verify.READ_BACK,
        ),
        replace(
            BUCKET,
            credentials="http://100.100.100.200/latest/meta-data/ram/security-credentials/role",
            export=ExportOptions(storage_class="IA", acl="private", encryption="KMS", encryption_key="acs:kms:1/k-2"),
        ),
        replace(BUCKET, credentials="/run/secrets/role.json", ca_file="/etc/ca.pem"),
    ],
)
def test_every_choice_is_read_as_it_was_written(bucket: Bucket) -> None:
    assert read(bucket_values(bucket)) == bucket


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("credentials", "role.json"), ("credentials", "ftp://host/role"), ("credentials", "http://u:p@host/role"),
        ("credentials", "http://host/ro le"), ("credentials", "http:///role"), ("credentials", 7),
        ("proxy", "127.0.0.1:3128"), ("proxy", "https://proxy:3128"), ("proxy", "http://u:p@proxy"),
        ("requester_pays", "yes"), ("exports", "no"), ("restore_days", -1), ("restore_days", 366), ("restore_days", True),
        ("verify", "always"), ("storage_class", "I A"), ("object_acl", "a\nb"), ("encryption", "é"),
    ],
)  # fmt: skip
def test_a_choice_that_is_none_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=key):
        read({**bucket_values(BUCKET), key: value})


def test_places_of_credentials() -> None:
    assert is_credentials("")
    assert is_credentials("https://[::1]:8/role?name=x")
    assert not is_credentials("http://host:port/role")
