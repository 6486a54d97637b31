"""Our signatures against those of the vendors' own libraries, over requests that Hypothesis makes up."""

from __future__ import annotations

import datetime
import posixpath
from unittest import mock
from urllib.parse import urlsplit

import alibabacloud_oss_v2 as oss
import botocore.auth
import pytest
from alibabacloud_oss_v2.signer import SignerV1, SignerV4
from alibabacloud_oss_v2.types import HttpRequest, SigningContext
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.model import AddressingStyle, Credentials
from penstock.stores.addressing import UnsignedRequest, address_of
from penstock.stores.oss_signature import SUB_RESOURCES_V1, OssSignerV1, OssSignerV4
from penstock.stores.s3_signature import S3Signer

REGION = "cn-hangzhou"
KEY_ID = "LTAIexample"
SECRET = "secret/with+signs="
NOW_NS = 1_729_700_896_123_456_789
NOW = datetime.datetime.fromtimestamp(NOW_NS // 10**9, datetime.UTC)

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
tokens = st.sampled_from(["", "security/token+1="])
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(
    str.strip
)  # HTTP drops outer spaces
oss_queries = st.dictionaries(
    st.sampled_from([*sorted(SUB_RESOURCES_V1), "prefix", "encoding-type", "max-keys", "list-type"]), keys | st.just("")
)
oss_headers = st.dictionaries(
    st.sampled_from(["content-type", "content-md5", "x-oss-meta-a", "x-oss-meta-b-c", "x-oss-forbid-overwrite"]), values
)
s3_headers = st.dictionaries(
    st.sampled_from(["content-type", "content-md5", "x-amz-meta-a", "x-amz-meta-b", "if-none-match", "range"]), values
)


def credentials(token: str) -> Credentials:
    return Credentials(access_key_id=KEY_ID, access_key_secret=SECRET, security_token=token)


def request_of(
    *, method: str, key: str, query: dict[str, str], headers: dict[str, str], style: AddressingStyle, sha256: str = ""
) -> UnsignedRequest:
    address = address_of("bucket", "http://storage.example:8080", style)
    return UnsignedRequest(
        method=method,
        path=address.path(key),
        bucket="bucket",
        key=key,
        query=query,
        headers={"host": address.host_header, **headers},
        payload_sha256=sha256 or "UNSIGNED-PAYLOAD",
    )


def signed_by_sdk(signer: SignerV1 | SignerV4, request: UnsignedRequest, token: str) -> str:
    """The Authorization that the vendor's SDK puts on the same request."""
    theirs = HttpRequest(request.method, f"http://{request.headers['host']}{request.target}")
    theirs.headers.update({name: value for name, value in request.headers.items() if name != "host"})
    if token and isinstance(signer, SignerV1):
        # The SDK calls this header `security-token`; the documented name, which is covered by the signature, is ours.
        theirs.headers["x-oss-security-token"] = token
        token = ""
    context = SigningContext(
        product="oss",
        region=REGION,
        bucket="bucket",
        key=request.key or None,
        request=theirs,
        credentials=oss.credentials.Credentials(KEY_ID, SECRET, token or None),
        signing_time=NOW,
    )
    signer.sign(context)
    return str(theirs.headers["Authorization"])


@settings(max_examples=60)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    key=keys | st.just(""),
    query=oss_queries,
    headers=oss_headers,
    token=tokens,
    style=st.sampled_from(list(AddressingStyle)),
)
def test_oss_version_4_is_signed_as_the_sdk_does(
    *, method: str, key: str, query: dict[str, str], headers: dict[str, str], token: str, style: AddressingStyle
) -> None:
    request = request_of(method=method, key=key, query=query, headers=headers, style=style)
    ours = OssSignerV4(credentials(token), REGION).sign(request, NOW_NS)
    assert ours["authorization"] == signed_by_sdk(SignerV4(), request, token)


@settings(max_examples=60)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    key=keys | st.just(""),
    query=oss_queries,
    headers=oss_headers,
    token=tokens,
    style=st.sampled_from(list(AddressingStyle)),
)
def test_oss_version_1_is_signed_as_the_sdk_does(
    *, method: str, key: str, query: dict[str, str], headers: dict[str, str], token: str, style: AddressingStyle
) -> None:
    request = request_of(method=method, key=key, query=query, headers=headers, style=style)
    ours = OssSignerV1(credentials(token)).sign(request, NOW_NS)
    assert ours["authorization"] == signed_by_sdk(SignerV1(), request, token)


@settings(max_examples=60)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    key=keys | st.just(""),
    query=st.dictionaries(
        st.sampled_from(["uploads", "uploadId", "partNumber", "prefix", "versions"]), keys | st.just("")
    ),
    headers=s3_headers,
    token=tokens,
    style=st.sampled_from(list(AddressingStyle)),
    sha256=st.sampled_from(["UNSIGNED-PAYLOAD", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]),
)
def test_s3_is_signed_as_botocore_does(
    *,
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    token: str,
    style: AddressingStyle,
    sha256: str,
) -> None:
    request = request_of(method=method, key=key, query=query, headers=headers, style=style, sha256=sha256)
    ours = S3Signer(credentials(token), "us-east-1").sign(request, NOW_NS)
    theirs = AWSRequest(method=method, url=f"http://{request.headers['host']}{request.target}")
    for name, value in request.headers.items():
        theirs.headers[name] = value
    theirs.headers["X-Amz-Content-SHA256"] = sha256
    auth = S3SigV4Auth(BotoCredentials(KEY_ID, SECRET, token or None), "s3", "us-east-1")
    with (
        mock.patch.object(botocore.auth, "get_current_datetime", return_value=NOW.replace(tzinfo=None), create=True),
        mock.patch.object(auth, "payload", return_value=sha256),
    ):
        auth.add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]


@pytest.mark.parametrize("style", list(AddressingStyle))
@pytest.mark.parametrize("key", ["a/../b", "./x", "a/./b", "../up", "..", ".", "a/..", "a//b", "a//../b"])
def test_dots_and_slashes_are_sent_and_signed_as_they_stand(key: str, style: AddressingStyle) -> None:
    request = request_of(method="GET", key=key, query={}, headers={}, style=style)
    assert request.target == ("/bucket/" if style is AddressingStyle.PATH else "/") + key
    plain = request_of(method="GET", key=posixpath.normpath(f"/{key}")[1:], query={}, headers={}, style=style)
    v4, v1, s3 = OssSignerV4(credentials(""), REGION), OssSignerV1(credentials("")), S3Signer(credentials(""), REGION)
    assert v4.sign(request, NOW_NS)["authorization"] == signed_by_sdk(SignerV4(), request, "")
    assert v1.sign(request, NOW_NS)["authorization"] == signed_by_sdk(SignerV1(), request, "")
    signers: list[OssSignerV4 | OssSignerV1 | S3Signer] = [v4, v1, s3]
    for signer in signers:
        assert signer.sign(request, NOW_NS)["authorization"] != signer.sign(plain, NOW_NS)["authorization"]


@pytest.mark.parametrize("signer", [OssSignerV4(credentials(""), REGION), S3Signer(credentials(""), REGION)])
def test_the_key_of_another_day_is_derived_anew(signer: OssSignerV4 | S3Signer) -> None:
    request = request_of(method="GET", key="key", query={}, headers={}, style=AddressingStyle.PATH)
    first = signer.sign(request, NOW_NS)["authorization"]
    other = signer.sign(request, NOW_NS + 86_400 * 10**9)["authorization"]
    assert first != other
    assert signer.sign(request, NOW_NS)["authorization"] == first


def test_the_target_is_what_was_signed() -> None:
    query = {"uploads": "", "prefix": "x y"}
    request = request_of(method="GET", key="a b/ü", query=query, headers={}, style=AddressingStyle.PATH)
    parts = urlsplit(request.target)
    assert parts.path == "/bucket/a%20b/%C3%BC"
    assert parts.query == "prefix=x%20y&uploads"
