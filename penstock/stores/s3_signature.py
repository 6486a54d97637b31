"""AWS Signature Version 4 for S3, in headers. Pure: the time comes in.

Bodies of objects are sent as UNSIGNED-PAYLOAD beside a signed Content-MD5 (hashing them twice would cost more than it
guards); small documents are signed whole.
"""

from __future__ import annotations

import hashlib

from penstock.model import Credentials
from penstock.stores.addressing import UnsignedRequest, encoded_query
from penstock.stores.signing_key import SigningKey, signature

SERVICE = "s3"


class S3Signer:
    """`AWS4-HMAC-SHA256` over Host, Content-Type, Content-MD5, all `x-amz-*` headers, preconditions, path and query."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        secret = credentials.access_key_secret
        self._key = SigningKey("AWS4", secret, region=region, service=SERVICE, closing="aws4_request")

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]:
        """The request's headers, completed by those of the signature."""
        moment = self._key.moment(now_ns)
        headers = {**request.headers, "x-amz-date": moment.stamp, "x-amz-content-sha256": request.payload_sha256}
        if self._credentials.security_token:
            headers["x-amz-security-token"] = self._credentials.security_token
        names = sorted(headers)
        covered = ";".join(names)
        digest = hashlib.sha256(canonical(request, headers, names, covered).encode()).hexdigest()
        signed = signature(moment, f"AWS4-HMAC-SHA256\n{moment.stamp}\n{moment.scope}\n{digest}")
        credential = f"Credential={self._credentials.access_key_id}/{moment.scope}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={covered}, Signature={signed}"
        return headers

    def refused(self, now_ns: int) -> None:
        """Nothing to be done: whoever gave these credentials mends them."""


def canonical(request: UnsignedRequest, headers: dict[str, str], names: list[str], covered: str) -> str:
    """The text that is hashed: every header that this room sends is covered (Content-Length, added later, is not)."""
    query = "&".join(f"{name}={value}" for name, value in encoded_query(request.query))
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    return f"{request.method}\n{request.path}\n{query}\n{lines}\n{covered}\n{request.payload_sha256}"
