"""Where temporary credentials come from: a file that something else renews, or a role's URL (an instance's metadata service).

Calls the file system and, through `wire`, one host that the configuration names. Follows no redirect and uses no proxy.
Every step is bounded in time and size. An error names the source; of what was answered it holds the status, and what `temporary`
lets pass.
"""

from __future__ import annotations

import os
import ssl
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from penstock.errors import PermissionDeniedError, StoreUnavailableError
from penstock.stores.addressing import DEFAULT_PORTS
from penstock.stores.pacer import Unpaced
from penstock.stores.temporary import DOCUMENT_MAX_BYTES, Temporary, temporary_of
from penstock.stores.timeouts import Timeouts
from penstock.stores.wire import Wire

LOOK_EVERY_NS = 10**9
METADATA_PREFIX = "/latest/meta-data/"
SESSION_PATH = "/latest/api/token"
SESSION_S = 60
SESSION_MAX_BYTES = 1024
QUICK = Timeouts(
    connect_s=2.0, send_s=2.0, first_byte_s=4.0, read_s=4.0, document_s=4.0, slow_s=4.0, slot_s=4.0, idle_s=0.0
)
"""A metadata service stands next door, and requests wait for it."""


class FileSource:
    """A JSON file. It is read anew when it is another one than before, which is looked at every second."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self.look_every_ns: int | None = LOOK_EVERY_NS
        self._path = path
        self._read: tuple[tuple[int, int, int], Temporary] | None = None

    def fetch(self) -> Temporary:
        """As `renewing.Source`."""
        try:
            with open(self._path, "rb", opener=_at_once) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise PermissionDeniedError(
                        f"the credentials of {self.place} cannot be read: it is no regular file"
                    )
                stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
                if self._read is not None and self._read[0] == stamp:
                    return self._read[1]
                if stat.S_IMODE(found.st_mode) & 0o007:
                    raise PermissionDeniedError(f"{self.place} holds secrets, and others may read it: chmod o= it")
                document = file.read(DOCUMENT_MAX_BYTES + 1)
        except OSError as error:
            raise PermissionDeniedError(f"{self.place} cannot be read: {error.strerror}") from error
        self._read = (stamp, temporary_of(document, place=self.place))
        return self._read[1]


def _at_once(path: str, flags: int) -> int:
    """Opened without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


class UrlSource:
    """A role's URL. Where it looks like a metadata service's it is first asked for a session, as hardened ones want it."""

    def __init__(self, url: str, *, tls: Callable[[], ssl.SSLContext], timeouts: Timeouts = QUICK) -> None:
        parts = urlsplit(url)
        self.place = f"{parts.scheme}://{parts.netloc}{parts.path}"  # a query might hold a secret
        self.look_every_ns: int | None = None
        self._host = parts.hostname or ""
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        self._host_header = parts.netloc
        self._path = parts.path or "/"
        self._target = self._path + (f"?{parts.query}" if parts.query else "")
        self._make_tls = tls if parts.scheme == "https" else None
        self._tls: ssl.SSLContext | None = None
        self._timeouts = timeouts
        self._lock = threading.Lock()

    def fetch(self) -> Temporary:
        """As `renewing.Source`."""
        if self._make_tls is not None and self._tls is None:
            self._tls = self._make_tls()
        wire = Wire(host=self._host, port=self._port, tls=self._tls, timeouts=self._timeouts, pacer=Unpaced(1))
        try:
            status, document = self._ask(wire, "GET", self._target, self._session(wire), DOCUMENT_MAX_BYTES + 1)
        except StoreUnavailableError as error:
            sentence = f"the credentials of {self.place} cannot be had: {error}"
            raise StoreUnavailableError(sentence, retry_after_s=error.retry_after_s) from error
        finally:
            wire.close()
        if status == 200:
            return temporary_of(document, place=self.place)
        if status >= 500 or status in {408, 429}:
            raise StoreUnavailableError(f"{self.place} answered {status}: it has no credentials now")
        raise PermissionDeniedError(f"{self.place} answered {status}: check the URL, and that the role is attached")

    def _session(self, wire: Wire) -> Mapping[str, str]:
        """The headers that a hardened metadata service asks for; none where there is no such thing."""
        if not self._path.startswith(METADATA_PREFIX):
            return {}
        asked = {
            "x-aliyun-ecs-metadata-token-ttl-seconds": str(SESSION_S),
            "x-aws-ec2-metadata-token-ttl-seconds": str(SESSION_S),
        }
        try:
            status, answer = self._ask(wire, "PUT", SESSION_PATH, asked, SESSION_MAX_BYTES)
        except StoreUnavailableError:
            return {}  # answers to PUT get lost on the way into some containers; if nobody is there GET will say so
        token = answer.decode("latin-1").strip()
        if status != 200 or not token or not (token.isascii() and token.isprintable()):
            return {}
        return {"x-aliyun-ecs-metadata-token": token, "x-aws-ec2-metadata-token": token}

    def _ask(
        self, wire: Wire, method: str, target: str, headers: Mapping[str, str], max_bytes: int
    ) -> tuple[int, bytes]:
        sent = wire.send(method, target, {"host": self._host_header, **headers}, slot_s=self._timeouts.slot_s)
        if sent is None:
            raise wire.busy()
        with sent.answer() as response:
            return response.status, response.read_bounded(max_bytes)
