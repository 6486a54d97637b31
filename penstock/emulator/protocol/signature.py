"""Who sent a request: OSS signatures V1, V2 and V4, in the Authorization header or in a presigned URL.

Pure computation over a `Call`; the gateway says what time it is and which secret belongs to an access key id.
Compared in constant time. A temporary key's requests must bear its security token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument, not_implemented
from penstock.emulator.protocol.subresources import V1_SUBRESOURCES

SKEW_MAX_S = 15 * 60
PRESIGNED_MAX_S = 7 * 24 * 3600
WRONG_KEY = frozenset({"InvalidAccessKeyId", "InvalidSecurityToken", "SignatureDoesNotMatch"})
"""The codes of requests that are whole, by somebody who may not."""
_V4 = "OSS4-HMAC-SHA256"
_V2 = "OSS2"
_TERMINATOR = "aliyun_v4_request"
_UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What a request says of itself, before any secret is looked up."""

    access_key_id: str
    signature: str
    token: str
    string_to_sign: bytes
    also_strings: tuple[bytes, ...]
    """The same in other spellings that clients sign. V1 in path style: without the slash behind a bucket that the path lacks,
    too. V4: with `=` behind the name of a parameter without a value."""
    canonical_request: bytes | None
    """None for V1."""
    scope: tuple[str, str, str] | None
    """Date, region and product of V4."""
    digest: str = "sha1"


def verify(
    call: Call, *, secret_of: Callable[[str], str | None], token_of: Callable[[str], str | None], region: str
) -> str | None:
    """The access key id that signed `call`; None if nobody did.

    Raises OssFault: 403 AccessDenied (expired, no date), 400 InvalidArgument (malformed), 403
    InvalidAccessKeyId, RequestTimeTooSkewed, InvalidSecurityToken, SignatureDoesNotMatch.
    """
    claim = _claim(call, region)
    if claim is None:
        return None
    secret = secret_of(claim.access_key_id)
    if secret is None:
        raise OssFault(
            403,
            "InvalidAccessKeyId",
            "The access key id is not known here.",
            elements={"OSSAccessKeyId": claim.access_key_id},
        )
    _check_token(claim, token_of(claim.access_key_id))
    given = claim.signature.encode("utf-8", "surrogateescape")
    for string in (claim.string_to_sign, *claim.also_strings):
        if hmac.compare_digest(_signature(claim, secret, string).encode(), given):
            return claim.access_key_id
    raise _mismatch(claim)


def check_kind(call: Call) -> None:
    """Raises OssFault 400 InvalidArgument for a request signed as S3's clients sign: it is told so, whatever it asks for."""
    scheme = call.header("authorization").partition(" ")[0]
    if scheme.startswith("AWS"):
        raise _unknown_kind(scheme)
    if "X-Amz-Algorithm" in call.query or "AWSAccessKeyId" in call.query:
        raise _unknown_kind(call.parameter("X-Amz-Algorithm", "AWS"))


def _unknown_kind(scheme: str) -> OssFault:
    hint = (
        "This server speaks the protocol of OSS, not that of S3."
        if scheme.startswith("AWS")
        else "Is this an OSS client?"
    )
    return invalid_argument(f"The signature is of no known kind. {hint}", name="Authorization", value=scheme)


def _check_token(claim: _Claim, expected: str | None) -> None:
    if expected is not None and not claim.token:
        raise OssFault(403, "InvalidAccessKeyId", "A temporary access key comes with its security token.")
    given = claim.token.encode("utf-8", "surrogateescape")
    if not hmac.compare_digest((expected or "").encode(), given):
        raise OssFault(403, "InvalidSecurityToken", "The security token is not this access key's.")


def _claim(call: Call, region: str) -> _Claim | None:
    authorization = call.header("authorization")
    if authorization:
        scheme, _, rest = authorization.partition(" ")
        if scheme == _V4:
            return _v4_header(call, rest, region)
        if scheme == "OSS":
            return _v1_header(call, rest)
        if scheme == _V2:
            return _v2_header(call, rest)
        raise _unknown_kind(scheme)
    version = call.parameter("x-oss-signature-version")
    if version == _V4:
        return _v4_query(call, region)
    if version == _V2:
        return _v2_query(call)
    if version:
        raise not_implemented(f"signature version {version[:32]} in a URL")
    if "Signature" in call.query or "OSSAccessKeyId" in call.query:
        return _v1_query(call)
    return None


# ------------------------------------------------------------------------------------------------------------------- V1


def _v1_header(call: Call, rest: str) -> _Claim:
    access_key_id, colon, signature = rest.strip().partition(":")
    if not colon or not access_key_id or not signature:
        raise invalid_argument("The Authorization header is not `OSS id:signature`.", name="Authorization", value="OSS")
    date = call.header("x-oss-date") or call.header("date")
    moment = _http_date(date) or _iso_date(date)
    if moment is None:
        raise OssFault(403, "AccessDenied", "The request has no valid Date.")
    _check_skew(call, moment)
    return _v1_claim(call, access_key_id, signature, date, call.header("x-oss-security-token"))


def _v1_query(call: Call) -> _Claim:
    access_key_id, signature = call.parameter("OSSAccessKeyId"), call.parameter("Signature")
    expires = call.parameter("Expires")
    if not (access_key_id and signature and expires):
        raise OssFault(403, "AccessDenied", "A presigned URL has OSSAccessKeyId, Expires and Signature.")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
        raise OssFault(403, "AccessDenied", "Expires is seconds since 1970.")
    _check_expiry(call, int(expires))
    return _v1_claim(call, access_key_id, signature, expires, call.parameter("security-token"))


def _v1_claim(call: Call, access_key_id: str, signature: str, date: str, token: str) -> _Claim:
    pairs = sorted((name, value) for name, value in call.query.items() if name in V1_SUBRESOURCES)
    query = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    resource = b"/" + (call.bucket.encode() + b"/" + call.key if call.bucket else b"")
    headers = "".join(f"{name}:{value}\n" for name, value in _sorted_headers(call, ()) if name.startswith("x-oss-"))
    lead = "\n".join([call.method, call.header("content-md5"), call.header("content-type"), date, headers])
    tail = _bytes(f"?{query}" if query else "")
    return _Claim(
        access_key_id=access_key_id,
        signature=signature,
        token=token or call.header("security-token"),
        string_to_sign=_bytes(lead) + resource + tail,
        also_strings=_unslashed(call, _bytes(lead), tail),
        canonical_request=None,
        scope=None,
    )


def _unslashed(call: Call, lead: bytes, tail: bytes) -> tuple[bytes, ...]:
    return (lead + b"/" + call.bucket.encode() + tail,) if call.bucket and not call.key else ()


# ------------------------------------------------------------------------------------------------------------------- V2


def _v2_header(call: Call, rest: str) -> _Claim:
    fields = dict(part.strip().partition(":")[::2] for part in rest.split(","))
    if not fields.get("AccessKeyId") or not fields.get("Signature"):
        raise invalid_argument(
            "The Authorization header lacks AccessKeyId or Signature.", name="Authorization", value=_V2
        )
    moment = _http_date(call.header("x-oss-date") or call.header("date"))
    if moment is None:
        raise OssFault(403, "AccessDenied", "The request has no valid Date.")
    _check_skew(call, moment)
    return _v2_claim(
        call,
        access_key_id=fields["AccessKeyId"],
        signature=fields["Signature"],
        additional=fields.get("AdditionalHeaders", ""),
        date=call.header("date"),
        token=call.header("x-oss-security-token"),
    )


def _v2_query(call: Call) -> _Claim:
    expires = call.parameter("x-oss-expires")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
        raise OssFault(403, "AccessDenied", "x-oss-expires is seconds since 1970.")
    _check_expiry(call, int(expires))
    return _v2_claim(
        call,
        access_key_id=call.parameter("x-oss-access-key-id"),
        signature=call.parameter("x-oss-signature"),
        additional=call.parameter("x-oss-additional-headers"),
        date=expires,
        token=call.parameter("security-token"),
    )


def _v2_claim(call: Call, *, access_key_id: str, signature: str, additional: str, date: str, token: str) -> _Claim:
    extra = sorted({name.strip().lower() for name in additional.split(";") if name.strip()})
    signed = [(n, v) for n, v in _sorted_headers(call, extra) if n.startswith("x-oss-") or n in extra]
    query = _query_string(call, _without_value(call))
    resource = b"/" + (call.bucket.encode() + b"/" + call.key if call.bucket else b"")
    lines = [
        call.method,
        call.header("content-md5"),
        call.header("content-type"),
        date,
        "".join(f"{name}:{value}\n" for name, value in signed) + ";".join(extra),
        _quoted(resource, "") + (f"?{query}" if query else ""),
    ]
    return _Claim(
        access_key_id=access_key_id,
        signature=signature,
        token=token,
        string_to_sign=_bytes("\n".join(lines)),
        also_strings=(),
        canonical_request=None,
        scope=None,
        digest="sha256",
    )


# ------------------------------------------------------------------------------------------------------------------- V4


def _v4_header(call: Call, rest: str, region: str) -> _Claim:
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if not fields.get("Credential") or not fields.get("Signature"):
        raise invalid_argument(
            "The Authorization header lacks Credential or Signature.", name="Authorization", value=_V4
        )
    if "AdditionalHeaders" in fields and not fields["AdditionalHeaders"]:
        raise invalid_argument("AdditionalHeaders is empty.", name="AdditionalHeaders", value="")
    if call.header("x-oss-content-sha256") != _UNSIGNED:
        raise invalid_argument(
            f"x-oss-content-sha256 is {_UNSIGNED}.",
            name="x-oss-content-sha256",
            value=call.header("x-oss-content-sha256"),
        )
    stamp = call.header("x-oss-date")
    moment = _iso_date(stamp) or _http_date(stamp or call.header("date"))
    if moment is None:
        raise OssFault(403, "AccessDenied", "The request has no valid x-oss-date.")
    _check_skew(call, moment)
    return _v4_claim(
        call,
        region=region,
        credential=fields["Credential"],
        signature=fields["Signature"],
        additional=fields.get("AdditionalHeaders", ""),
        moment=moment,
        token=call.header("x-oss-security-token"),
    )


def _v4_query(call: Call, region: str) -> _Claim:
    credential, signature = call.parameter("x-oss-credential"), call.parameter("x-oss-signature")
    lifetime = call.parameter("x-oss-expires")
    moment = _iso_date(call.parameter("x-oss-date"))
    if not credential or not signature or moment is None:
        raise invalid_argument(
            "A presigned URL has x-oss-credential, x-oss-date, x-oss-expires and x-oss-signature.",
            name="x-oss-date",
            value=call.parameter("x-oss-date"),
        )
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 10 and 1 <= int(lifetime) <= PRESIGNED_MAX_S):
        raise invalid_argument(f"x-oss-expires is 1 to {PRESIGNED_MAX_S}.", name="x-oss-expires", value=lifetime)
    _check_expiry(call, int(moment.timestamp()) + int(lifetime))
    if moment.timestamp() > call.received_ns / 1e9 + SKEW_MAX_S:
        raise OssFault(403, "AccessDenied", "The URL is not valid yet.")
    return _v4_claim(
        call,
        region=region,
        credential=credential,
        signature=signature,
        additional=call.parameter("x-oss-additional-headers"),
        moment=moment,
        token=call.parameter("x-oss-security-token"),
    )


def _v4_claim(
    call: Call, *, region: str, credential: str, signature: str, additional: str, moment: datetime, token: str
) -> _Claim:
    scope = credential.split("/")
    stamp = f"{moment:%Y%m%dT%H%M%SZ}"
    if len(scope) != 5 or scope[1] != stamp[:8] or scope[3] != "oss" or scope[4] != _TERMINATOR:
        raise invalid_argument(
            f"Credential is id/date/region/oss/{_TERMINATOR}, the date that of the request.",
            name="Credential",
            value=credential,
        )
    if scope[2] != region:
        raise _other_region(call, credential)
    extra = sorted({name.strip().lower() for name in additional.split(";") if name.strip()})
    canonical, *others = (_v4_canonical(call, query, extra) for query in _spellings(call))
    lead = "\n".join([_V4, stamp, "/".join(scope[1:]), ""])
    return _Claim(
        access_key_id=scope[0],
        signature=signature,
        token=token,
        string_to_sign=(lead + hashlib.sha256(canonical).hexdigest()).encode(),
        also_strings=tuple((lead + hashlib.sha256(other).hexdigest()).encode() for other in others),
        canonical_request=canonical,
        scope=(scope[1], scope[2], scope[3]),
    )


def _v4_canonical(call: Call, query: str, additional: list[str]) -> bytes:
    lines = [
        call.method.encode(),
        _quoted(b"/" + (call.bucket.encode() + b"/" + call.key if call.bucket else b""), "/").encode(),
        query.encode(),
        _bytes("".join(f"{name}:{value}\n" for name, value in _sorted_headers(call, additional))),
        ";".join(additional).encode(),
        _bytes(call.header("x-oss-content-sha256", _UNSIGNED)),
    ]
    return b"\n".join(lines)


def _spellings(call: Call) -> Iterable[str]:
    """The query as it is documented; then as clients sign it that put `=` behind parameters without a value: all but those that
    say what is asked for, or all. A `=` in a name is quoted, so no spelling is that of another query."""
    empty = _without_value(call)
    return dict.fromkeys(_query_string(call, bare) for bare in (empty, empty & V1_SUBRESOURCES, set[str]()))


def _other_region(call: Call, credential: str) -> OssFault:
    """Clients tell these two by their words."""
    inside_url = not call.header("authorization")
    return OssFault(
        400,
        "InvalidArgument",
        f"{'The signing region in credential is invalid' if inside_url else 'Invalid signing region in Authorization header'}.",
        elements={"ArgumentName": "Credential", "ArgumentValue": credential[:1024]},
        ec="" if inside_url else "0002-00000226",
    )


def _without_value(call: Call) -> set[str]:
    return {name for name, value in call.query.items() if not value}


def _query_string(call: Call, bare: set[str]) -> str:
    """Sorted and quoted; those that are `bare` have no value, and no `=` either."""
    pairs = sorted(
        (_quoted(_bytes(name), ""), "" if name in bare else f"={_quoted(_bytes(value), '')}")
        for name, value in call.query.items()
        if name != "x-oss-signature"
    )
    return "&".join(f"{name}{value}" for name, value in pairs)


# ---------------------------------------------------------------------------------------------------------------- shared


def _sorted_headers(call: Call, additional: Iterable[str]) -> list[tuple[str, str]]:
    wanted = {"content-type", "content-md5", *additional}
    return sorted((n, v.strip()) for n, v in call.headers.items() if n.startswith("x-oss-") or n in wanted)


def _signature(claim: _Claim, secret: str, string: bytes) -> str:
    if claim.scope is None:
        return base64.b64encode(hmac.digest(secret.encode(), string, claim.digest)).decode("ascii")
    key = b"aliyun_v4" + secret.encode()
    for step in (*claim.scope, _TERMINATOR):
        key = hmac.digest(key, step.encode("utf-8", "surrogateescape"), "sha256")
    return hmac.digest(key, string, "sha256").hex()


def _mismatch(claim: _Claim) -> OssFault:
    elements = {
        "OSSAccessKeyId": claim.access_key_id,
        "SignatureProvided": claim.signature,
        "StringToSign": claim.string_to_sign.decode("utf-8", "replace"),
        "StringToSignBytes": claim.string_to_sign.hex(" ").upper(),
    }
    if claim.canonical_request is not None:
        elements["CanonicalRequest"] = claim.canonical_request.decode("utf-8", "replace")
    return OssFault(
        403,
        "SignatureDoesNotMatch",
        "The signature is not the one the secret gives for this request.",
        elements=elements,
    )


def _quoted(raw: bytes, safe: str) -> str:
    return quote(raw, safe=safe)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso_date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _check_skew(call: Call, moment: datetime) -> None:
    if abs(call.received_ns / 1e9 - moment.timestamp()) > SKEW_MAX_S:
        raise OssFault(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            elements={
                "MaxAllowedSkewMilliseconds": str(SKEW_MAX_S * 1000),
                "RequestTime": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z",
                "ServerTime": f"{datetime.fromtimestamp(call.received_ns / 1e9, tz=UTC):%Y-%m-%dT%H:%M:%S}.000Z",
            },
        )


def _check_expiry(call: Call, expires_s: int) -> None:
    if call.received_ns / 1e9 > expires_s:
        raise OssFault(403, "AccessDenied", "The presigned URL has expired.", elements={"Expires": str(expires_s)})
