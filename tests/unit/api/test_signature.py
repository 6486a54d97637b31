"""Is a request that the vendor's SDK signed taken, and every other one refused with its code?"""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import signature
from penstock.api.errors import ApiError
from penstock.api.options import ApiOptions
from penstock.api.protocol import Head, Pairs, Request, parse_request, read_head, read_query
from penstock.model import AccessKey
from tests.fixtures.signing import NOW_NS, SIGNER, Signer, stamp, v1_parameters, v3_headers

KEYS = {
    SIGNER.key_id: AccessKey(access_key_id=SIGNER.key_id, secret=SIGNER.secret),
    "off": AccessKey(access_key_id="off", secret=SIGNER.secret, active=False),
    "bare": AccessKey(access_key_id="bare", secret=""),
}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
QUERIES = st.dictionaries(st.from_regex(r"\A[A-Z][A-Za-z0-9.]{0,12}\Z"), TEXTS, max_size=5)
SKEW_S = 900
OPTIONS = ApiOptions()


def verify(request: Request, now_ns: int = NOW_NS) -> tuple[AccessKey, signature.Claim]:
    return signature.verify(request, KEYS, now_ns=now_ns, clock_skew_s=SKEW_S)


def refusal(request: Request, now_ns: int = NOW_NS) -> ApiError:
    with pytest.raises(ApiError) as refused:
        verify(request, now_ns)
    return refused.value


def arriving(headers: dict[str, str], query: dict[str, str], body: bytes = b"") -> Request:
    """The request as the server reads it from the wire."""
    raw = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in headers.items()]
    return parse_request(read_head("POST", f"/?{urlencode(query)}".encode("ascii"), raw, OPTIONS), body, OPTIONS)


def v3(query: dict[str, str] | None = None, signer: Signer = SIGNER, **changes: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    return arriving(v3_headers(query or {}, signer=signer, changes=named), query or {})


def v1(parameters: dict[str, str] | None = None, signer: Signer = SIGNER, **changes: str) -> Request:
    return arriving({"host": "nas.example"}, v1_parameters({**(parameters or {}), **changes}, signer=signer))


WRONG = Signer(secret="other")


@pytest.mark.rule("SIG-1")
@pytest.mark.rule("SIG-3")
@given(QUERIES)
def test_v3_as_the_sdk_signs_it(query: dict[str, str]) -> None:
    key, claim = verify(v3(query))
    assert (key.access_key_id, claim.nonce) == (SIGNER.key_id, "n-1")
    assert signature.called(v3(query)) == ("DescribeDataFlows", "2017-06-26")


@pytest.mark.rule("SIG-2")
@pytest.mark.rule("SIG-3")
@given(QUERIES.map(lambda query: {f"X{name}": value for name, value in query.items()}))
def test_signature_1_as_the_sdk_signs_it(parameters: dict[str, str]) -> None:
    key, claim = verify(v1(parameters))
    assert (key.access_key_id, claim.nonce) == (SIGNER.key_id, "n-1")


@pytest.mark.rule("SIG-2")
def test_signature_1_counts_query_and_form_together() -> None:
    parameters = v1_parameters({"FileSystemId": "bmcpfs-1", "Description": "a b*~"})
    names = sorted(parameters)
    query = {name: parameters[name] for name in names[::2]}
    form = "&".join(f"{name}={_form(parameters[name])}" for name in names[1::2]).encode()
    verify(arriving({"content-type": "application/x-www-form-urlencoded"}, query, form))


def _form(text: str) -> str:
    return "".join(
        letter if letter.isalnum() else "".join(f"%{byte:02x}" for byte in letter.encode()) for letter in text
    )


@pytest.mark.rule("SIG-5")
def test_the_body_counts_whatever_the_header_claims() -> None:
    body = b"FileSystemId=bmcpfs-1"
    verify(arriving(v3_headers({}, body), {}, body))
    assert refusal(arriving(v3_headers({}, body), {}, b"FileSystemId=bmcpfs-2")).code == "SignatureDoesNotMatch"


@pytest.mark.rule("SIG-6")
@pytest.mark.parametrize("request_", [v3({"Description": "a:b"}, WRONG), v1({"Description": "a:b"}, WRONG)])
def test_a_wrong_signature_names_the_string_that_was_signed(request_: Request) -> None:
    error = refusal(request_)
    ours = signature.read_claim(request_).string_to_sign.decode()
    assert (error.code, error.http_status) == ("SignatureDoesNotMatch", 400)
    assert error.message.split(":")[1] == ours
    assert SIGNER.secret not in error.message


@pytest.mark.rule("SIG-4")
@pytest.mark.parametrize(
    "name", ["host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"]
)
def test_what_has_to_be_signed_has_to_be_signed(name: str) -> None:
    headers = v3_headers({})
    headers["Authorization"] = headers["Authorization"].replace(f"{name};", "")
    error = refusal(arriving(headers, {}))
    assert error.code == "IncompleteSignature"
    assert name in error.message
    gone = v3_headers({})
    del gone[name]
    assert refusal(arriving(gone, {})).code == "IncompleteSignature"


@pytest.mark.rule("SIG-4")
def test_headers_that_are_not_named_do_not_count() -> None:
    headers = v3_headers({})
    verify(arriving(headers | {"accept-encoding": "gzip", "x-forwarded-for": "192.0.2.1"}, {}))
    assert refusal(arriving(headers | {"user-agent": "other"}, {})).code == "SignatureDoesNotMatch"


@pytest.mark.rule("SIG-7")
@pytest.mark.parametrize("seconds", [-901, 901])
@pytest.mark.parametrize("make", [v3, v1])
def test_the_clock_may_differ_by_15_minutes(make: object, seconds: int) -> None:
    assert callable(make)
    assert refusal(make(), NOW_NS + seconds * 1_000_000_000).code == "InvalidTimeStamp.Expired"
    verify(make(), NOW_NS + (seconds // abs(seconds)) * SKEW_S * 1_000_000_000)


@pytest.mark.rule("SIG-7")
@pytest.mark.parametrize(
    "text",
    ["yesterday", "2024-10-23 16:28:16", "2024-13-01T00:00:00Z", "2024-10-23T16:28:16+00:00", "٢٠٢٤-10-23T16:28:16Z"],
)
def test_a_time_that_is_none(text: str) -> None:
    assert refusal(v1(Timestamp=text)).code == "InvalidTimeStamp.Format"
    if text.isascii():
        assert refusal(v3(x_acs_date=text)).code == "InvalidTimeStamp.Format"


@pytest.mark.rule("SIG-9")
@pytest.mark.parametrize(
    ("key_id", "code", "status"),
    [
        ("unknown", "InvalidAccessKeyId.NotFound", 404),
        ("bare", "InvalidAccessKeyId.NotFound", 404),
        ("off", "InvalidAccessKeyId.Inactive", 400),
    ],
)
def test_keys_that_are_not_there_or_off(key_id: str, code: str, status: int) -> None:
    error = refusal(v1(AccessKeyId=key_id))
    assert (error.code, error.http_status) == (code, status)


@pytest.mark.rule("SIG-10")
def test_security_tokens_are_refused() -> None:
    code = "InvalidSecurityToken.MismatchWithAccessKey"
    assert refusal(v3(x_acs_security_token="t")).code == code
    assert refusal(v1(SecurityToken="t")).code == code


@pytest.mark.rule("SIG-11")
@pytest.mark.parametrize(
    "changes", [{"SignatureMethod": "HMAC-SHA256"}, {"SignatureVersion": "2.0"}, {"SignatureType": "BEARERTOKEN"}]
)
def test_other_ways_to_sign_are_refused(changes: dict[str, str]) -> None:
    assert refusal(v1(changes)).code == "InvalidSignatureMethod"


@pytest.mark.rule("SIG-11")
@pytest.mark.parametrize("scheme", ["ACS3-HMAC-SM3", "ACS3-RSA-SHA256", "ACS3-HMAC-SHA1"])
def test_other_algorithms_are_refused(scheme: str) -> None:
    headers = v3_headers({})
    headers["Authorization"] = headers["Authorization"].replace("ACS3-HMAC-SHA256", scheme)
    assert refusal(arriving(headers, {})).code == "InvalidSignatureMethod"


@pytest.mark.rule("SIG-4")
@pytest.mark.parametrize(
    "authorization",
    ["ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 Credential=a", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=,Signature=b"],
)
def test_half_an_authorization_is_none(authorization: str) -> None:
    assert refusal(arriving(v3_headers({}) | {"Authorization": authorization}, {})).code == "IncompleteSignature"


@pytest.mark.rule("SIG-4")
def test_no_signature_at_all() -> None:
    assert refusal(arriving({}, {"Action": "DescribeDataFlows", "Version": "2017-06-26"})).code == "IncompleteSignature"


@pytest.mark.rule("SIG-4")
@pytest.mark.parametrize("name", ["AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"])
def test_signature_1_needs_all_its_parameters(name: str) -> None:
    parameters = v1_parameters({})
    del parameters[name]
    assert refusal(arriving({}, parameters)).code == f"Missing{name}"


@pytest.mark.rule("SIG-12")
def test_unsigned_names_of_actions_mean_nothing() -> None:
    smuggled = arriving(v3_headers({}) | {"host": "nas.example"}, {})
    assert signature.called(smuggled)[0] == "DescribeDataFlows"
    older = arriving({"x-acs-action": "DeleteDataFlow", "x-acs-version": "1"}, v1_parameters({}))
    assert signature.called(older) == ("DescribeDataFlows", "2017-06-26")
    verify(older)


@pytest.mark.parametrize("nonce", ["", "n" * 129, "a\tb"])
def test_a_nonce_has_bounds(nonce: str) -> None:
    error = refusal(v1(SignatureNonce=nonce))
    assert error.code in ("MissingSignatureNonce", "InvalidParameter.Format")


@given(
    st.dictionaries(TEXTS, TEXTS, max_size=6),
    st.dictionaries(st.sampled_from(["authorization", "x-acs-date", "host"]), TEXTS),
    st.binary(max_size=40),
)
def test_whatever_comes_is_refused_and_never_breaks(
    query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    named = {name: value.replace("\n", "").replace("\r", "") for name, value in headers.items()}
    try:
        verify(arriving(named, query, body))
    except ApiError:
        return
    raise AssertionError("nobody signed this")


def test_stamps_are_those_of_the_sdk() -> None:
    assert stamp() == "2024-10-23T16:28:16Z"


# ----------------------------------------------------------------------------------------------------- heads by themselves


def head_of(headers: dict[str, str], query: dict[str, str]) -> tuple[Head, Pairs]:
    raw = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in headers.items()]
    head = read_head("POST", f"/?{urlencode(query)}".encode("ascii"), raw, OPTIONS)
    return head, read_query(head, OPTIONS)


def verify_head(
    headers: dict[str, str], query: dict[str, str], now_ns: int = NOW_NS
) -> tuple[AccessKey, signature.Claim]:
    head, pairs = head_of(headers, query)
    return signature.verify_head(head, pairs, KEYS, now_ns=now_ns, clock_skew_s=SKEW_S)


@given(QUERIES, st.binary(max_size=50))
def test_a_head_tells_its_owner_before_the_body_is_there(query: dict[str, str], body: bytes) -> None:
    key, claim = verify_head(v3_headers(query, body), query)
    assert (key.access_key_id, claim.nonce) == (SIGNER.key_id, "n-1")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "IncompleteSignature"),
        ({"authorization": "ACS3-HMAC-SHA256 "}, "IncompleteSignature"),
        (v3_headers({}, b"body", signer=WRONG), "SignatureDoesNotMatch"),
        (v3_headers({}, b"body") | {"x-acs-content-sha256": "0" * 64}, "SignatureDoesNotMatch"),
        (v3_headers({}, b"body") | {"x-acs-date": stamp(NOW_NS - 1_000_000_000)}, "SignatureDoesNotMatch"),
        (v3_headers({}, b"body", signer=Signer(key_id="nobody")), "InvalidAccessKeyId.NotFound"),
        (v3_headers({}, b"body", signer=Signer(key_id="off")), "InvalidAccessKeyId.Inactive"),
        (v3_headers({}, b"body", now_ns=NOW_NS - (SKEW_S + 1) * 1_000_000_000), "InvalidTimeStamp.Expired"),
        (v3_headers({}, b"body", nonce="n" * 200), "InvalidParameter.Format"),
    ],
)
def test_a_head_that_proves_nothing(headers: dict[str, str], code: str) -> None:
    with pytest.raises(ApiError) as refused:
        verify_head(headers, {})
    assert refused.value.code == code


def test_signature_1_0_needs_the_body() -> None:
    with pytest.raises(ApiError):
        verify_head({"host": "nas.example"}, v1_parameters({}))
