"""AWS Signature Version 4 for S3, in headers. Pure: the time comes in.

Bodies of objects are sent as UNSIGNED-PAYLOAD beside a signed Content-MD5 (hashing them twice would cost more than it
guards); small documents are signed whole.
"""

from __future__ import annotations

import hashlib
import time

from penstock.model import Credentials
from penstock.stores.addressing import UnsignedRequest, encoded_query
from penstock.stores.signing_key import SigningKey

SERVICE = "s3"


class S3Signer:
    """`AWS4-HMAC-SHA256` over Host, Content-Type, Content-MD5, all `x-amz-*` headers, preconditions, path and query."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        secret = credentials.access_key_secret
        self._key = SigningKey("AWS4", secret, region=region, service=SERVICE, closing="aws4_request")

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]:
        """The request's headers, completed by those of the signature."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ns // 10**9))
        scope = self._key.scope(stamp[:8])
        headers = {**request.headers, "x-amz-date": stamp, "x-amz-content-sha256": request.payload_sha256}
        if self._credentials.security_token:
            headers["x-amz-security-token"] = self._credentials.security_token
        covered = ";".join(sorted(headers))
        digest = hashlib.sha256(canonical(request, headers).encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = self._key.sign(stamp[:8], to_sign)
        credential = f"Credential={self._credentials.access_key_id}/{scope}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={covered}, Signature={signature}"
        return headers


def canonical(request: UnsignedRequest, headers: dict[str, str]) -> str:
    """The text that is hashed: every header that this room sends is covered (Content-Length, added later, is not)."""
    query = "&".join(f"{name}={value}" for name, value in encoded_query(request.query))
    names = sorted(headers)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    return f"{request.method}\n{request.path}\n{query}\n{lines}\n{';'.join(names)}\n{request.payload_sha256}"
