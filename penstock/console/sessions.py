"""A visitor's session: a signed cookie that outlives a restart of the service and ends with its access key.

The cookie names the key, when the session began and a number of chance; its signature is made with the service's own secret
and the key's, so a revoked or re-made key ends every session at once. Keeps nothing but which sessions were ended by hand.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from penstock.model import AccessKey, Registry

SESSION_S = 12 * 3600
ENDED_MAX = 4096
COOKIE_MAX_CHARS = 512
AHEAD_S = 60  # by how much a clock that was set back may make a session begin in the future
_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who visits. `csrf` is what each form of this session has to bring back."""

    key: AccessKey
    number: str
    began_s: int
    csrf: str


class Sessions:
    """Begins, recognises and ends sessions."""

    def __init__(
        self,
        secret: bytes,
        *,
        registry: Callable[[], Registry],
        now_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._secret = secret
        self._registry = registry
        self._now_ns = now_ns
        self._entropy = entropy
        self._ended: OrderedDict[str, None] = OrderedDict()
        # Cookies know no ports: two services of one machine would overwrite each other's.
        self.cookie_name = "penstock_" + hashlib.sha256(b"name" + secret).hexdigest()[:8]

    def begin(self, key: AccessKey) -> str:
        """The cookie of a new session."""
        number = self._entropy(16).hex()
        named = base64.urlsafe_b64encode(key.access_key_id.encode()).decode().rstrip("=")
        told = f"{_VERSION}.{self._now_s()}.{number}.{named}"
        return f"{told}.{self._signature(told, key)}"

    def of(self, cookie: str) -> Session | None:
        """Whose session the cookie tells; None where it tells none that still lasts."""
        if len(cookie) > COOKIE_MAX_CHARS:
            return None
        told, _, signature = cookie.rpartition(".")
        parts = told.split(".")
        if len(parts) != 4 or parts[0] != _VERSION or not parts[1].isdecimal() or len(parts[1]) > 12:
            return None
        _, began, number, named = parts
        try:
            key_id = base64.urlsafe_b64decode(named + "=" * (-len(named) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        key = self._registry().access_keys.get(key_id)
        if key is None or not key.active:
            return None
        age_s = self._now_s() - int(began)
        genuine = hmac.compare_digest(signature.encode(), self._signature(told, key).encode())
        if not genuine or not -AHEAD_S <= age_s < SESSION_S or number in self._ended:
            return None
        return Session(key=key, number=number, began_s=int(began), csrf=self._mac(b"csrf", number.encode()))

    def lasts(self, session: Session) -> bool:
        """Whether a session that was recognised before would be again: for what lasts longer than one answer."""
        key = self._registry().access_keys.get(session.key.access_key_id)
        known = key is not None and key.active and hmac.compare_digest(key.secret.encode(), session.key.secret.encode())
        return known and self._now_s() - session.began_s < SESSION_S and session.number not in self._ended

    def end(self, session: Session) -> None:
        """From now on its cookie is nobody's."""
        self._ended[session.number] = None
        while len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def proves(self, access_key_id: str, secret: str) -> AccessKey | None:
        """The key, if this is its secret and it may be used. Takes as long for a key that does not exist."""
        key = self._registry().access_keys.get(access_key_id)
        known = key.secret if key is not None else self._mac(b"nobody", b"")
        right = hmac.compare_digest(
            hashlib.sha256(known.encode()).digest(), hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        )
        return key if key is not None and right and key.active else None

    def _signature(self, told: str, key: AccessKey) -> str:
        return self._mac(b"session", told.encode() + b"\0" + hashlib.sha256(key.secret.encode()).digest())

    def _mac(self, purpose: bytes, data: bytes) -> str:
        return hmac.new(self._secret, purpose + b"\0" + data, hashlib.sha256).hexdigest()

    def _now_s(self) -> int:
        return self._now_ns() // 1_000_000_000
