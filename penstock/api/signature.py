"""Who sent a request: ACS3-HMAC-SHA256 (signature V3) and the older Signature 1.0.

Pure computation over a `Request`: the query is decoded and encoded again, exactly the headers named in SignedHeaders count,
the body's hash is computed here and not believed (but by `verify_head`, which says who is speaking and not what). Compared in
constant time. Nonces are the catalog's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote

import msgspec

from penstock.api.errors import ApiError, missing
from penstock.api.options import ApiOptions
from penstock.api.protocol import Head, Pairs, Request, value_in
from penstock.api.times import stamp_s
from penstock.model import AccessKey

V3 = "ACS3-HMAC-SHA256"
_V3_SIGNED = frozenset(
    {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
)
_V1_PARAMETERS = ("AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp")
NONCE_MAX_CHARACTERS = 128
_ANSWERED_STRING_MAX = 8 << 10  # strangers are told, too, and may never fetch it
_NS = 1_000_000_000
_PLAIN = re.compile(r"[A-Za-z0-9_.~\-]*", re.ASCII)
_NEARLY_PLAIN = re.compile(r"[A-Za-z0-9_.~\-/=&]*", re.ASCII)
_NO_BODY = hashlib.sha256(b"").hexdigest()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of itself. `string_to_sign` is ours, computed from what arrived."""

    access_key_id: str
    nonce: str
    timestamp: str
    signature: str
    string_to_sign: bytes
    security_token: str
    older: bytes  # what Signature 1.0 appends to the secret


def is_v3(sent: Head | Request) -> bool:
    """Whether the Authorization header decides (then unsigned Action and Version parameters mean nothing)."""
    return sent.headers.get("authorization", "").startswith("ACS3-")


def called(sent: Head | Request) -> tuple[str, str]:
    """Action and Version, from where they are signed: headers with V3, parameters with Signature 1.0 (a Head is V3)."""
    if isinstance(sent, Head) or is_v3(sent):
        action, version = sent.headers.get("x-acs-action", ""), sent.headers.get("x-acs-version", "")
    else:
        action, version = sent.parameters.get("Action", ""), sent.parameters.get("Version", "")
    if not action:
        raise missing("Action")
    if not version:
        raise missing("Version")
    return action, version


def check_name(head: Head, body: bytes, access_keys: Mapping[str, AccessKey], options: ApiOptions) -> None:
    """Raises ApiError unless the request names a key of ours; whether that signed it, nobody knows yet.

    A glance at what is long to read before it is read: strangers cannot have it decoded.
    """
    if is_v3(head):
        name, _, _ = _authorization(head)
    elif not _value(head, body, "Signature", options):
        raise _unsigned()
    else:
        name = _value(head, body, "AccessKeyId", options)
        if not name:
            raise missing("AccessKeyId")
    _key_called(name, access_keys)


def read_claim(request: Request) -> Claim:
    """Raises ApiError when the request is not signed, or not in a way that is known here."""
    if not is_v3(request):
        return _claim_v1(request)
    return _claim_v3(request, request.query, hashlib.sha256(request.body).hexdigest() if request.body else _NO_BODY)


def verify(
    request: Request, access_keys: Mapping[str, AccessKey], *, now_ns: int, clock_skew_s: int
) -> tuple[AccessKey, Claim]:
    """The key that signed the request, and its claim. Raises ApiError; a wrong signature names our string-to-sign."""
    claim = read_claim(request)
    return _owner(claim, access_keys, now_ns=now_ns, clock_skew_s=clock_skew_s), claim


def verify_head(
    head: Head, query: Pairs, access_keys: Mapping[str, AccessKey], *, now_ns: int, clock_skew_s: int
) -> tuple[AccessKey, Claim]:
    """As `verify`, while the body is still to come: what the head says of it is believed. Raises ApiError.

    Only for bodies that have anything in them: Signature 1.0 signs a form's parameters like the query's, so of such a caller
    nothing is known before the body is whole.
    """
    if not is_v3(head):
        raise ApiError("IncompleteSignature", f"Only {V3} signs a head by itself.")
    claim = _claim_v3(head, query, head.headers.get("x-acs-content-sha256", ""))
    return _owner(claim, access_keys, now_ns=now_ns, clock_skew_s=clock_skew_s), claim


def verify_whole(
    head: Head, query: Pairs, body: bytes, access_keys: Mapping[str, AccessKey], *, now_ns: int, clock_skew_s: int
) -> tuple[AccessKey, Claim]:
    """As `verify`, of a V3 request whose body is not decoded yet, and not even hashed for who has not signed the head."""
    verify_head(head, query, access_keys, now_ns=now_ns, clock_skew_s=clock_skew_s)
    claim = _claim_v3(head, query, hashlib.sha256(body).hexdigest())
    return _owner(claim, access_keys, now_ns=now_ns, clock_skew_s=clock_skew_s), claim


def _owner(claim: Claim, access_keys: Mapping[str, AccessKey], *, now_ns: int, clock_skew_s: int) -> AccessKey:
    if claim.security_token:
        raise ApiError(
            "InvalidSecurityToken.MismatchWithAccessKey",
            "Keys of this service are lasting ones: no security token belongs to them. Send none.",
        )
    key = _key_called(claim.access_key_id, access_keys)
    if not key.active:
        raise ApiError("InvalidAccessKeyId.Inactive", "This access key is switched off.")
    _check_time(claim.timestamp, now_ns=now_ns, clock_skew_s=clock_skew_s)
    if not hmac.compare_digest(_sign(claim, key.secret).encode(), claim.signature.encode("utf-8", "replace")):
        ours = claim.string_to_sign.decode("latin-1")[:_ANSWERED_STRING_MAX]
        raise ApiError("SignatureDoesNotMatch", f"The signature is not ours; the string signed here is:{ours}")
    if not claim.nonce or len(claim.nonce) > NONCE_MAX_CHARACTERS or not claim.nonce.isprintable():
        raise ApiError(
            "InvalidParameter.Format", f"SignatureNonce has 1 to {NONCE_MAX_CHARACTERS} printable characters."
        )
    return key


def _key_called(name: str, access_keys: Mapping[str, AccessKey]) -> AccessKey:
    key = access_keys.get(name)
    if key is None or not key.secret:
        raise ApiError("InvalidAccessKeyId.NotFound", "There is no such access key; `penstock key add` makes one.")
    return key


def _sign(claim: Claim, secret: str) -> str:
    # Not hmac.digest: that one lets go of the interpreter for a microsecond's work, and gets it back after milliseconds
    # when another thread is busy.
    keyed = hmac.new(secret.encode() + claim.older, claim.string_to_sign, "sha1" if claim.older else "sha256")
    return base64.b64encode(keyed.digest()).decode("ascii") if claim.older else keyed.hexdigest()


def _check_time(timestamp: str, *, now_ns: int, clock_skew_s: int) -> None:
    seconds = stamp_s(timestamp)
    if seconds is None:
        raise ApiError("InvalidTimeStamp.Format", "The request's time is not of the form yyyy-MM-ddTHH:mm:ssZ.")
    if abs(now_ns - seconds * _NS) > clock_skew_s * _NS:
        raise ApiError(
            "InvalidTimeStamp.Expired", f"The request's time and ours are more than {clock_skew_s} seconds apart."
        )


# ------------------------------------------------------------------------------------------------------------------- V3


def _claim_v3(sent: Head | Request, query: Pairs, body_sha256: str) -> Claim:
    headers = sent.headers
    credential, signed, signature = _authorization(sent)
    names = _signed_names(signed)
    lacking = [name for name in names if name not in headers]
    if lacking:
        raise _not_signed(lacking)
    canonical = "\n".join(
        [
            sent.method,
            "/",
            _canonical(query),
            "".join([f"{name}:{headers[name]}\n" for name in names]),
            signed,
            body_sha256,
        ]
    )
    return Claim(
        access_key_id=credential,
        nonce=headers["x-acs-signature-nonce"],
        timestamp=headers["x-acs-date"],
        signature=signature,
        string_to_sign=f"{V3}\n{hashlib.sha256(canonical.encode('latin-1')).hexdigest()}".encode("ascii"),
        security_token=headers.get("x-acs-security-token", ""),
        older=b"",
    )


def _authorization(sent: Head | Request) -> tuple[str, str, str]:
    """Credential, SignedHeaders, Signature. Raises ApiError where one is missing."""
    scheme, _, rest = sent.headers["authorization"].partition(" ")
    if scheme != V3:
        raise ApiError("InvalidSignatureMethod", f"Of the ACS3 family only {V3} is taken.")
    fields = dict([field.strip().partition("=")[::2] for field in rest.split(",")])
    credential, signed, signature = (fields.get(name, "") for name in ("Credential", "SignedHeaders", "Signature"))
    if not (credential and signed and signature):
        raise ApiError("IncompleteSignature", "Authorization needs Credential, SignedHeaders and Signature.")
    return credential, signed, signature


@lru_cache(maxsize=64)
def _signed_names(signed: str) -> tuple[str, ...]:
    """The headers that SignedHeaders names; a caller sends the same words each time. Raises ApiError."""
    names = tuple(signed.split(";"))
    missing_names = _V3_SIGNED.difference(names)
    if missing_names or len(set(names)) != len(names):
        raise _not_signed(missing_names)
    return names


def _not_signed(names: Iterable[str]) -> ApiError:
    return ApiError(
        "IncompleteSignature", f"These headers have to be there and signed, once: {', '.join(sorted(names))}."
    )


# -------------------------------------------------------------------------------------------------------- Signature 1.0


def _claim_v1(request: Request) -> Claim:
    parameters = request.parameters
    signature = parameters.get("Signature", "")
    if not signature:
        raise _unsigned()
    for name in _V1_PARAMETERS:
        if not parameters.get(name):
            raise missing(name)
    if parameters["SignatureMethod"].upper() != "HMAC-SHA1" or parameters["SignatureVersion"] != "1.0":
        raise ApiError("InvalidSignatureMethod", "SignatureMethod is HMAC-SHA1 and SignatureVersion 1.0.")
    if parameters.get("SignatureType"):
        raise ApiError("InvalidSignatureMethod", "SignatureType has to be empty: signatures by access key only.")
    pairs = [pair for pair in (*request.query, *request.form) if pair[0] != "Signature"]
    return Claim(
        access_key_id=parameters["AccessKeyId"],
        nonce=parameters["SignatureNonce"],
        timestamp=parameters["Timestamp"],
        signature=signature,
        string_to_sign=f"{request.method}&%2F&{_encoded_again(_canonical(pairs))}".encode("ascii"),
        security_token=parameters.get("SecurityToken", ""),
        older=b"&",
    )


def _unsigned() -> ApiError:
    return ApiError("IncompleteSignature", f"The request is not signed: neither {V3} nor a Signature parameter.")


def _value(head: Head, body: bytes, name: str, options: ApiOptions) -> str:
    return value_in(head.query_string, name, options) or value_in(body, name, options) or ""


def _canonical(pairs: Collection[tuple[str, str]]) -> str:
    joined = "&".join([f"{name}={value}" for name, value in sorted(pairs)])
    # Where there is nothing to encode but slashes, as in most calls, one look at the whole is a tenth of looking at each.
    if _NEARLY_PLAIN.fullmatch(joined) and joined.count("=") == len(pairs) == joined.count("&") + 1:
        return joined.replace("/", "%2F")
    return "&".join([f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(pairs)])


def _encoded(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


def _encoded_again(encoded: str) -> str:
    """Of what is encoded already: three characters are left that change, and `quote` looks at every one."""
    return encoded.replace("%", "%25").replace("&", "%26").replace("=", "%3D")
