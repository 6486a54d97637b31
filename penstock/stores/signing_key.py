"""The key that both protocols sign with: derived from the secret for one day, one region and one service. Pure."""

from __future__ import annotations

import hashlib
import hmac
import threading


class SigningKey:
    """`prefix` + secret, then day, region, service and closing word, each hashed with the one before; kept for the day."""

    def __init__(self, prefix: str, secret: str, *, region: str, service: str, closing: str) -> None:
        self._start = f"{prefix}{secret}".encode()
        self._region = region
        self._service = service
        self._closing = closing
        self._lock = threading.Lock()
        self._kept: tuple[str, bytes] = ("", b"")

    def scope(self, day: str) -> str:
        """What the key of that day (`yyyymmdd`) is good for, as the Credential field names it."""
        return f"{day}/{self._region}/{self._service}/{self._closing}"

    def sign(self, day: str, text: str) -> str:
        """HMAC-SHA256 of `text` under the key of that day, in hex."""
        return hmac.new(self._of(day), text.encode(), hashlib.sha256).hexdigest()

    def _of(self, day: str) -> bytes:
        with self._lock:
            known, key = self._kept
            if known != day:
                key = self._start
                for step in (day, self._region, self._service, self._closing):
                    key = hmac.new(key, step.encode(), hashlib.sha256).digest()
                self._kept = (day, key)
            return key
