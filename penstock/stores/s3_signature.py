"""AWS Signature Version 4 for S3, in headers. Pure: the time comes in.

Bodies of objects are sent as UNSIGNED-PAYLOAD beside a signed Content-MD5 (hashing them twice would cost more than it
guards); small documents are signed whole.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time

from penstock.model import Credentials
from penstock.stores.addressing import UnsignedRequest, encoded_query

SERVICE = "s3"


class S3Signer:
    """`AWS4-HMAC-SHA256` over Host, Content-Type, Content-MD5, all `x-amz-*` headers, preconditions, path and query."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region
        self._lock = threading.Lock()
        self._key: tuple[str, bytes] = ("", b"")  # the derived key of one day

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]:
        """The request's headers, completed by those of the signature."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ns // 10**9))
        scope = f"{stamp[:8]}/{self._region}/{SERVICE}/aws4_request"
        headers = {**request.headers, "x-amz-date": stamp, "x-amz-content-sha256": request.payload_sha256}
        if self._credentials.security_token:
            headers["x-amz-security-token"] = self._credentials.security_token
        covered = ";".join(sorted(headers))
        digest = hashlib.sha256(canonical(request, headers).encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.new(self._signing_key(stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self._credentials.access_key_id}/{scope}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={covered}, Signature={signature}"
        return headers

    def _signing_key(self, day: str) -> bytes:
        with self._lock:
            known, key = self._key
            if known != day:
                key = f"AWS4{self._credentials.access_key_secret}".encode()
                for step in (day, self._region, SERVICE, "aws4_request"):
                    key = hmac.new(key, step.encode(), hashlib.sha256).digest()
                self._key = (day, key)
            return key


def canonical(request: UnsignedRequest, headers: dict[str, str]) -> str:
    """The text that is hashed: every header that this room sends is covered (Content-Length, added later, is not)."""
    query = "&".join(f"{name}={value}" for name, value in encoded_query(request.query))
    names = sorted(headers)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    return f"{request.method}\n{request.path}\n{query}\n{lines}\n{';'.join(names)}\n{request.payload_sha256}"
