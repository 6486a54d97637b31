"""OSS request signatures in headers: version 4 (HMAC-SHA256) and version 1 (HMAC-SHA1). Pure: the time comes in.

The payload is never signed; what guards it is TLS and the CRC-64 that the store answers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from enum import StrEnum

from penstock.model import Credentials
from penstock.stores.addressing import UnsignedRequest, encoded_key, encoded_query
from penstock.stores.signing_key import SigningKey, signature

PRODUCT = "oss"
SUB_RESOURCES_V1 = frozenset(
    {
        "continuation-token",
        "partNumber",
        "restore",
        "tagging",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
    }
)
"""Of the query parameters that this room sends, those that a version 1 signature covers."""


class OssSignature(StrEnum):
    """Which signature to send."""

    V4 = "v4"
    V1 = "v1"


class OssSignerV4:
    """`OSS4-HMAC-SHA256` over all `x-oss-*` headers, Content-Type, Content-MD5, path and query."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        secret = credentials.access_key_secret
        self._key = SigningKey("aliyun_v4", secret, region=region, service=PRODUCT, closing="aliyun_v4_request")

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]:
        """The request's headers, completed by those of the signature."""
        moment = self._key.moment(now_ns)
        headers = {**request.headers, "x-oss-date": moment.stamp, "x-oss-content-sha256": "UNSIGNED-PAYLOAD"}
        if self._credentials.security_token:
            headers["x-oss-security-token"] = self._credentials.security_token
        digest = hashlib.sha256(canonical_v4(request, headers).encode()).hexdigest()
        signed = signature(moment, f"OSS4-HMAC-SHA256\n{moment.stamp}\n{moment.scope}\n{digest}")
        credential = f"{self._credentials.access_key_id}/{moment.scope}"
        headers["authorization"] = f"OSS4-HMAC-SHA256 Credential={credential},Signature={signed}"
        return headers

    def refused(self, now_ns: int) -> None:
        """Nothing to be done: whoever gave these credentials mends them."""


def canonical_v4(request: UnsignedRequest, headers: dict[str, str]) -> str:
    """The text that is hashed. The path is always `/bucket/key`, whatever the addressing style."""
    path = f"/{request.bucket}/{encoded_key(request.key)}"
    pairs = encoded_query(request.query)
    query = "&".join([f"{name}={value}" if value else name for name, value in pairs]) if pairs else ""
    covered = sorted([name for name in headers if name.startswith("x-oss-") or name in {"content-type", "content-md5"}])
    lines = "".join([f"{name}:{headers[name].strip()}\n" for name in covered])
    return f"{request.method}\n{path}\n{query}\n{lines}\n\nUNSIGNED-PAYLOAD"


class OssSignerV1:
    """`OSS id:signature` with HMAC-SHA1, for services that do not know version 4."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._secret = credentials.access_key_secret.encode()

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]:
        """The request's headers, completed by those of the signature."""
        headers = {**request.headers, "date": formatdate(now_ns / 10**9, usegmt=True)}
        if self._credentials.security_token:
            headers["x-oss-security-token"] = self._credentials.security_token
        digest = hmac.digest(self._secret, canonical_v1(request, headers).encode(), "sha1")
        headers["authorization"] = f"OSS {self._credentials.access_key_id}:{base64.b64encode(digest).decode()}"
        return headers

    def refused(self, now_ns: int) -> None:
        """Nothing to be done: whoever gave these credentials mends them."""


def canonical_v1(request: UnsignedRequest, headers: dict[str, str]) -> str:
    """The text that is signed. Key and values of sub-resources stand in it as they are, not encoded."""
    covered = sorted(name for name in headers if name.startswith("x-oss-"))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in covered)
    pairs = sorted((name, value) for name, value in request.query.items() if name in SUB_RESOURCES_V1)
    query = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    resource = f"/{request.bucket}/{request.key}" + (f"?{query}" if query else "")
    md5, kind = headers.get("content-md5", ""), headers.get("content-type", "")
    return f"{request.method}\n{md5}\n{kind}\n{headers['date']}\n{lines}{resource}"
