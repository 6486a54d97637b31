"""Who signed? Requests signed here by hand, from the rules, must pass; anything changed behind the signature must not."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.emulator.protocol.call import Body, Call
from penstock.emulator.protocol.errors import OssFault
from penstock.emulator.protocol.signature import verify

KEY, SECRET, REGION = "LTAIexample", "secret", "cn-hangzhou"
NOW_NS = 1_700_000_000 * 10**9  # 2023-11-14T22:13:20Z
STAMP, DATE = "20231114T221320Z", "Tue, 14 Nov 2023 22:13:20 GMT"


async def nothing() -> Mapping[str, Any]:
    raise AssertionError("a signature is checked without the body")


def call(headers: Mapping[str, str], query: Mapping[str, str] | None = None, **changes: Any) -> Call:
    made = Call(
        request_id="0" * 24,
        method="PUT",
        host="127.0.0.1",
        bucket="bucket",
        key="dir/中 +%.bin".encode(),
        query=query or {},
        headers=headers,
        body=Body(nothing, 0),
        received_ns=NOW_NS,
    )
    return replace(made, **changes)


def check(made: Call, *, token: str | None = None) -> str | None:
    return verify(made, secret_of={KEY: SECRET}.get, token_of={KEY: token}.get, region=REGION)


def refused(made: Call) -> OssFault:
    with pytest.raises(OssFault) as caught:
        check(made)
    return caught.value


def v4_signature(canonical: str, scope: str = f"20231114/{REGION}/oss/aliyun_v4_request") -> str:
    to_sign = "\n".join(["OSS4-HMAC-SHA256", STAMP, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"aliyun_v4" + SECRET.encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


V4_HEADERS = {
    "content-type": "text/plain",
    "x-oss-date": STAMP,
    "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
    "x-oss-meta-a": "b",
    "host": "127.0.0.1",
    "user-agent": "not signed",
}
V4_CANONICAL = (
    "PUT\n/bucket/dir/%E4%B8%AD%20%2B%25.bin\npartNumber=1&uploadId=A%2FB&uploads\n"
    "content-type:text/plain\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:20231114T221320Z\nx-oss-meta-a:b\n"
    "\n\nUNSIGNED-PAYLOAD"
)
QUERY = {"uploads": "", "uploadId": "A/B", "partNumber": "1"}
SCOPE = f"20231114/{REGION}/oss/aliyun_v4_request"


def v4_call(**changes: Any) -> Call:
    authorization = f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},Signature={v4_signature(V4_CANONICAL)}"
    return replace(call({**V4_HEADERS, "authorization": authorization}, QUERY), **changes)


def test_v4_in_the_header() -> None:
    assert check(v4_call()) == KEY


def test_v4_with_additional_headers_in_either_notation() -> None:
    canonical = V4_CANONICAL.replace("x-oss-content-sha256:", "host:127.0.0.1\nx-oss-content-sha256:", 1)
    canonical = canonical.replace("\n\nUNSIGNED", "\nhost\nUNSIGNED")
    signature = v4_signature(canonical)
    for authorization in (
        f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},AdditionalHeaders=host,Signature={signature}",
        f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE}, Signature={signature}, AdditionalHeaders=host",
    ):
        assert check(call({**V4_HEADERS, "authorization": authorization}, QUERY)) == KEY


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("partNumber=1&prefix&uploads", True),
        ("partNumber=1&prefix=&uploads", True),
        ("partNumber=1&prefix=&uploads=", True),
        ("partNumber=1&prefix=", False),
        ("partNumber=1&uploads", False),
        ("partNumber=1&prefix%3D&uploads", False),
        ("partNumber&prefix=&uploads", False),
    ],
)
def test_v4_of_parameters_without_a_value(query: str, *, fits: bool) -> None:
    """As documented, or with a `=` behind them, as some clients sign them."""
    signature = v4_signature(V4_CANONICAL.replace("partNumber=1&uploadId=A%2FB&uploads", query))
    authorization = f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},Signature={signature}"
    made = call({**V4_HEADERS, "authorization": authorization}, {"uploads": "", "prefix": "", "partNumber": "1"})
    if fits:
        assert check(made) == KEY
    else:
        assert refused(made).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"bucket": "other"},
        {"key": b"dir/other"},
        {"query": {**QUERY, "partNumber": "2"}},
        {"query": {**QUERY, "extra": ""}},
        {"headers": {**v4_call().headers, "x-oss-meta-a": "c"}},
        {"headers": {**v4_call().headers, "x-oss-forbid-overwrite": "true"}},
        {"headers": {**v4_call().headers, "content-type": "text/html"}},
        {"headers": {**v4_call().headers, "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}},
    ],
)
def test_v4_covers_what_matters(changes: dict[str, Any]) -> None:
    fault = refused(v4_call(**changes))
    assert (fault.status, fault.code) == (403, "SignatureDoesNotMatch")
    assert fault.elements["StringToSign"].startswith("OSS4-HMAC-SHA256\n")
    assert SECRET not in str(fault.elements)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("OSS4-HMAC-SHA256 Credential=,Signature=x", "InvalidArgument"),
        (f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE}", "InvalidArgument"),
        (f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},AdditionalHeaders=,Signature=x", "InvalidArgument"),
        (f"OSS4-HMAC-SHA256 Credential={KEY}/20231113/{REGION}/oss/aliyun_v4_request,Signature=x", "InvalidArgument"),
        (f"OSS4-HMAC-SHA256 Credential={KEY}/20231114/us-east-1/oss/aliyun_v4_request,Signature=x", "InvalidArgument"),
        (f"OSS4-HMAC-SHA256 Credential={KEY}/20231114/{REGION}/s3/aliyun_v4_request,Signature=x", "InvalidArgument"),
        (f"OSS4-HMAC-SHA256 Credential=nobody/{SCOPE},Signature=x", "InvalidAccessKeyId"),
        (f"OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},Signature=é", "SignatureDoesNotMatch"),
        ("OSS2 AccessKeyId:nobody,Signature:b", "InvalidAccessKeyId"),
        (f"OSS2 AccessKeyId:{KEY},Signature:b", "SignatureDoesNotMatch"),
        ("OSS2 AccessKeyId:a", "InvalidArgument"),
        ("Bearer x", "InvalidArgument"),
        ("OSS", "InvalidArgument"),
        ("OSS id", "InvalidArgument"),
        ("OSS nobody:x", "InvalidAccessKeyId"),
        (f"OSS {KEY}:x", "SignatureDoesNotMatch"),
    ],
)
def test_what_is_malformed_or_foreign(authorization: str, code: str) -> None:
    headers = {**V4_HEADERS, "date": DATE, "authorization": authorization}
    headers.pop("x-oss-date" if authorization.startswith("OSS2") else "", None)
    assert refused(call(headers, QUERY)).code == code


def test_who_signs_nothing_is_nobody() -> None:
    assert check(call({})) is None


def test_v4_needs_the_payload_header() -> None:
    headers = {name: value for name, value in v4_call().headers.items() if name != "x-oss-content-sha256"}
    assert refused(v4_call(headers=headers)).code == "InvalidArgument"


@pytest.mark.parametrize(
    ("off_s", "fits"), [(0, True), (900, True), (-900, True), (901, False), (-901, False), (90_000, False)]
)
def test_clocks_differ_by_fifteen_minutes_at_most(off_s: int, *, fits: bool) -> None:
    for made in (v4_call(received_ns=NOW_NS + off_s * 10**9), v1_call(received_ns=NOW_NS + off_s * 10**9)):
        if fits:
            assert check(made) == KEY
        else:
            assert refused(made).code == "RequestTimeTooSkewed"


def test_a_security_token_is_refused() -> None:
    headers = {**v4_call().headers, "x-oss-security-token": "token"}
    assert refused(v4_call(headers=headers)).code == "InvalidSecurityToken"


# ------------------------------------------------------------------------------------------------------------------- V1

V1_HEADERS = {
    "date": DATE,
    "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "content-type": "text/plain",
    "x-oss-meta-a": "b",
}
V1_STRING = (
    "PUT\n1B2M2Y8AsgTpgAmY7PhCfg==\ntext/plain\n{date}\nx-oss-meta-a:b\n"
    "/bucket/dir/中 +%.bin?partNumber=1&response-content-type=a/b c&uploadId=A/B&uploads"
)
V1_QUERY = {**QUERY, "response-content-type": "a/b c", "max-keys": "not signed"}


def v1_signature(string: str) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), string.encode(), hashlib.sha1).digest()).decode()


def v1_call(**changes: Any) -> Call:
    signature = v1_signature(V1_STRING.format(date=DATE))
    return replace(call({**V1_HEADERS, "authorization": f"OSS {KEY}:{signature}"}, V1_QUERY), **changes)


def test_v1_in_the_header() -> None:
    assert check(v1_call()) == KEY


def test_v1_takes_x_oss_date_for_date() -> None:
    string = V1_STRING.format(date=DATE).replace("x-oss-meta-a", f"x-oss-date:{DATE}\nx-oss-meta-a")
    headers = {**V1_HEADERS, "date": "Mon, 01 Jan 2001 00:00:00 GMT", "x-oss-date": DATE}
    assert check(call({**headers, "authorization": f"OSS {KEY}:{v1_signature(string)}"}, V1_QUERY)) == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"key": b"dir/other"},
        {"query": {**V1_QUERY, "uploadId": "C"}},
        {"query": {**V1_QUERY, "versionId": "x"}},
        {"headers": {**v1_call().headers, "x-oss-meta-a": "c"}},
        {"headers": {**v1_call().headers, "content-md5": ""}},
        {"headers": {**v1_call().headers, "date": "Tue, 14 Nov 2023 22:13:21 GMT"}},
    ],
)
def test_v1_covers_what_matters(changes: dict[str, Any]) -> None:
    assert refused(v1_call(**changes)).code == "SignatureDoesNotMatch"


def test_v1_of_a_bucket_with_and_without_the_slash_behind_it() -> None:
    for resource, fits in [("/bucket/", True), ("/bucket", True), ("/", False), ("/bucket/x", False)]:
        signature = v1_signature(f"PUT\n\n\n{DATE}\n{resource}?acl")
        made = call({"date": DATE, "authorization": f"OSS {KEY}:{signature}"}, {"acl": ""}, key=b"")
        if fits:
            assert check(made) == KEY
        else:
            assert refused(made).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_v1_needs_a_date(date: str) -> None:
    assert refused(v1_call(headers={**v1_call().headers, "date": date})).code == "AccessDenied"


# ----------------------------------------------------------------------------------------------------------------- URLs


def v4_url(expires: str, **changes: Any) -> Call:
    query = {
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-date": STAMP,
        "x-oss-expires": expires,
        "x-oss-credential": f"{KEY}/{SCOPE}",
    }
    canonical = (
        "PUT\n/bucket/dir/%E4%B8%AD%20%2B%25.bin\n"
        f"x-oss-credential={KEY}%2F20231114%2F{REGION}%2Foss%2Faliyun_v4_request&x-oss-date={STAMP}"
        f"&x-oss-expires={expires}&x-oss-signature-version=OSS4-HMAC-SHA256\n\n\nUNSIGNED-PAYLOAD"
    )
    made = call({"host": "127.0.0.1"}, {**query, "x-oss-signature": v4_signature(canonical)})
    return replace(made, **changes)


def test_v4_in_a_url() -> None:
    assert check(v4_url("60")) == KEY
    assert check(v4_url("60", received_ns=NOW_NS + 60 * 10**9)) == KEY
    assert check(v4_url("604800", received_ns=NOW_NS + 604_800 * 10**9)) == KEY


def test_v4_in_a_url_ends() -> None:
    assert refused(v4_url("60", received_ns=NOW_NS + 61 * 10**9)).code == "AccessDenied"
    assert refused(v4_url("60", received_ns=NOW_NS - 901 * 10**9)).code == "AccessDenied"
    for expires in ("0", "604801", "", "-1", "x"):
        assert refused(v4_url(expires)).code == "InvalidArgument"


def test_v4_in_a_url_signs_all_parameters() -> None:
    assert refused(v4_url("60", query={**v4_url("60").query, "versionId": "x"})).code == "SignatureDoesNotMatch"
    assert refused(v4_url("60", query={**v4_url("60").query, "foo": "x"})).code == "SignatureDoesNotMatch"


def test_v1_in_a_url() -> None:
    expires = str(int(datetime.fromtimestamp(NOW_NS / 1e9, tz=UTC).timestamp()) + 60)
    string = V1_STRING.format(date=expires)
    query = {**V1_QUERY, "OSSAccessKeyId": KEY, "Expires": expires, "Signature": v1_signature(string)}
    headers = {name: value for name, value in V1_HEADERS.items() if name != "date"}
    assert check(call(headers, query)) == KEY
    assert refused(call(headers, query, received_ns=NOW_NS + 61 * 10**9)).code == "AccessDenied"
    assert refused(call(headers, {**query, "Expires": str(int(expires) + 1)})).code == "SignatureDoesNotMatch"
    assert refused(call(headers, {**query, "Expires": "soon"})).code == "AccessDenied"
    assert refused(call(headers, {**query, "Signature": ""})).code == "AccessDenied"
