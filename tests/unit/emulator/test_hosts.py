"""Which bucket a host names."""

from __future__ import annotations

import pytest

from penstock.emulator.protocol.errors import OssFault
from penstock.emulator.protocol.hosts import Hosts

HOSTS = Hosts(domain="oss.test", cnames={"data.example.com": "own"})


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("bkt.oss-cn-hangzhou.aliyuncs.com", "bkt"),
        ("BKT.OSS-cn-hangzhou-internal.aliyuncs.com:80", "bkt"),
        ("bkt.vpc100-oss-cn-hangzhou.aliyuncs.com", "bkt"),
        ("bkt.s3.oss-cn-hangzhou.aliyuncs.com", "bkt"),
        ("bkt.oss-accelerate-overseas.aliyuncs.com", "bkt"),
        ("bkt.cn-hangzhou.oss.aliyuncs.com", "bkt"),
        ("bkt.ep-bp1abc23.oss.cn-hangzhou.privatelink.aliyuncs.com", "bkt"),
        ("ep-bkt.ep-bp1abc23.oss.cn-hangzhou.privatelink.aliyuncs.com", "ep-bkt"),
        ("data.example.com", "own"),
        ("Data.Example.com:8681", "own"),
        ("bkt.oss.test", "bkt"),
        ("bkt.localhost:8681", "bkt"),
    ],
)
def test_the_host_names_the_bucket(host: str, found: str) -> None:
    assert HOSTS.resource(b"/dir/a%20b", host) == (found, b"dir/a b")


@pytest.mark.parametrize(
    "host",
    [
        "oss-cn-hangzhou.aliyuncs.com",
        "vpc100-oss-cn-hangzhou.aliyuncs.com",
        "s3.oss-cn-hangzhou.aliyuncs.com",
        "ep-bp1abc23.oss.cn-hangzhou.privatelink.aliyuncs.com",
        "oss.test",
    ],
)
def test_an_endpoint_names_none_and_takes_no_path_style(host: str) -> None:
    assert HOSTS.resource(b"/", host) == ("", b"")
    with pytest.raises(OssFault) as caught:
        HOSTS.resource(b"/bkt/key", host)
    assert caught.value.code == "SecondLevelDomainForbidden"


@pytest.mark.parametrize("host", ["127.0.0.1:8681", "[::1]:8681", "localhost", "elsewhere"])
def test_by_an_address_the_bucket_leads_the_path(host: str) -> None:
    assert HOSTS.resource(b"/bkt/dir/key", host) == ("bkt", b"dir/key")
