"""From a registered bucket to a store: addresses, abilities, and what is refused before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import SettingsError, StoreRefusedError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.abilities import untried
from penstock.stores.addressing import address_of
from penstock.stores.base import OSS_LIMITS, S3_LIMITS, Abilities, Overwrite, Versioning
from penstock.stores.opening import abilities_from_mapping, abilities_to_mapping, open_store
from penstock.stores.oss import OssStore
from penstock.stores.s3 import S3Store

PATH, VIRTUAL, CNAME = AddressingStyle.PATH, AddressingStyle.VIRTUAL_HOST, AddressingStyle.CNAME
BUCKET = Bucket(
    name="bucket",
    kind=BucketKind.OSS,
    endpoint="http://127.0.0.1:9000",
    region="cn-hangzhou",
    addressing_style=PATH,
)
CREDENTIALS = Credentials(access_key_id="id", access_key_secret="topsecret")


@pytest.mark.parametrize(
    ("endpoint", "style", "host", "port", "host_header", "path"),
    [
        ("http://127.0.0.1:9000", PATH, "127.0.0.1", 9000, "127.0.0.1:9000", "/b/k%20/x"),
        ("https://s3.example", PATH, "s3.example", 443, "s3.example", "/b/k%20/x"),
        ("https://s3.example:443/", PATH, "s3.example", 443, "s3.example", "/b/k%20/x"),
        ("http://S3.Example:443", VIRTUAL, "b.s3.example", 443, "b.s3.example:443", "/k%20/x"),
        ("http://oss-cn-hangzhou.aliyuncs.com", VIRTUAL, "b.oss-cn-hangzhou.aliyuncs.com", 80,
         "b.oss-cn-hangzhou.aliyuncs.com", "/k%20/x"),
        ("https://cn-hangzhou.oss.aliyuncs.com", VIRTUAL, "b.cn-hangzhou.oss.aliyuncs.com", 443,
         "b.cn-hangzhou.oss.aliyuncs.com", "/k%20/x"),
        ("https://data.example", CNAME, "data.example", 443, "data.example", "/k%20/x"),
        ("http://[::1]:9000", PATH, "::1", 9000, "[::1]:9000", "/b/k%20/x"),
    ],
)  # fmt: skip
def test_addresses(*, endpoint: str, style: AddressingStyle, host: str, port: int, host_header: str, path: str) -> None:
    address = address_of("b", endpoint, style)
    assert (address.host, address.port) == (host, port)
    assert address.host_header == host_header
    assert address.path("k /x") == path


@pytest.mark.parametrize(
    "endpoint",
    ["", "s3.example", "ftp://s3.example", "http://", "http://h:port", "http://h/path", "http://u@h", "http://h?q"],
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="endpoint"):
        open_store(replace(BUCKET, endpoint=endpoint), CREDENTIALS)


def test_a_bucket_cannot_stand_before_an_ip_address() -> None:
    with pytest.raises(SettingsError, match="path style"):
        open_store(replace(BUCKET, addressing_style=VIRTUAL), CREDENTIALS)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="ca_file"):
        open_store(replace(BUCKET, endpoint="https://s3.example", ca_file=str(path)), CREDENTIALS)


@pytest.mark.parametrize(
    ("kind", "store_class", "limits"),
    [
        (BucketKind.OSS, OssStore, OSS_LIMITS),
        (BucketKind.EMBEDDED, OssStore, OSS_LIMITS),
        (BucketKind.S3, S3Store, S3_LIMITS),
    ],
)
def test_the_kind_of_bucket_decides_the_protocol(kind: BucketKind, store_class: type, limits: object) -> None:
    abilities = Abilities(crc64=True, versioning=Versioning.SUSPENDED)
    store = open_store(replace(BUCKET, kind=kind, abilities=abilities_to_mapping(abilities)), CREDENTIALS)
    assert isinstance(store, store_class)
    assert store.bucket == "bucket"
    assert store.limits == limits
    assert store.abilities == abilities
    store.close()


@given(
    st.builds(
        Abilities,
        create_only_put=st.booleans(),
        create_only_complete=st.booleans(),
        crc64=st.booleans(),
        part_etag_is_md5=st.booleans(),
        bucket_tags=st.booleans(),
        versioning=st.sampled_from(list(Versioning)),
    )
)
def test_abilities_come_back_from_their_mapping(abilities: Abilities) -> None:
    mapping = abilities_to_mapping(abilities)
    assert abilities_from_mapping(mapping) == abilities
    assert abilities_from_mapping({**mapping, "from_a_newer_version": 7}) == abilities


@pytest.mark.parametrize(
    ("missing", "unknown"),
    [
        ((), ()),
        (("content_md5", "checksum"), ("content_md5", "checksum")),
        (("versioning", "crc64"), ("crc64", "versioning")),
    ],
)
def test_what_was_never_tried_out_is_known(missing: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    mapping = {name: value for name, value in abilities_to_mapping(Abilities()).items() if name not in missing}
    assert untried(mapping) == unknown
    assert len(untried({})) == len(abilities_to_mapping(Abilities()))
    assert untried({**mapping, "crc64": True}) == tuple({*unknown} & {"versioning"})  # no other checksum counts then


def test_missing_abilities_are_not_there_and_wrong_ones_refused() -> None:
    assert abilities_from_mapping({}) == Abilities()
    with pytest.raises(SettingsError, match="crc64"):
        abilities_from_mapping({"crc64": "yes"})
    with pytest.raises(SettingsError, match="versioning"):
        abilities_from_mapping({"versioning": "Sometimes"})


def test_what_would_ask_the_bucket_instead_is_never_sent() -> None:
    """An empty key is the bucket's own address: a DELETE of it would remove the bucket."""
    store = open_store(replace(BUCKET, endpoint="http://127.0.0.1:1"), CREDENTIALS)
    with pytest.raises(StoreRefusedError):
        store.delete("")
    with pytest.raises(StoreRefusedError):
        store.put("", [b""], crc64=0, metadata={}, precondition=Overwrite())
    store.close()


def test_nothing_of_a_store_shows_its_secret() -> None:
    store = open_store(BUCKET, CREDENTIALS)
    assert "topsecret" not in repr(store) + repr(vars(store)) + repr(vars(vars(store)["_exchange"]))
    store.close()
