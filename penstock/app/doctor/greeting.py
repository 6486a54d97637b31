"""One unsigned request to an endpoint, whatever it answers: is it there, how far is its clock, how good is its certificate.

Nothing is sent that names a key, a bucket or an object. Where a proxy stands between, it is the one that is asked.
"""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from penstock.errors import SettingsError

LIMIT_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What came back. `skew_s` is how far its clock is before ours, None where it told no time; `tls` is empty without TLS."""

    trouble: str = ""
    took_s: float = 0.0
    skew_s: float | None = None
    tls: str = ""
    certificate_days: float | None = None


def greet(endpoint: str, *, ca_file: str = "", proxy: str = "") -> Greeting:
    """Ask it. Raises SettingsError for a CA file that cannot be used; all else is told by the greeting."""
    url = urlsplit(endpoint)
    context = _context(ca_file) if url.scheme == "https" else None
    began_s = time.monotonic()
    connection = _connection(endpoint, proxy, context)
    try:
        connection.request("HEAD", "/" if not proxy or context else f"{endpoint}/", headers={"Host": url.netloc})
        sock = connection.sock
        tls, days = _tls_of(sock) if isinstance(sock, ssl.SSLSocket) else ("", None)
        response = connection.getresponse()
        took_s = time.monotonic() - began_s
        response.read(1024)
        return Greeting(took_s=took_s, skew_s=_skew_s(response.headers.get("Date", "")), tls=tls, certificate_days=days)
    except ssl.SSLCertVerificationError as error:
        return Greeting(trouble=f"its certificate is not trusted: {error.verify_message}")
    except ssl.SSLError as error:
        return Greeting(trouble=f"TLS fails: {error.reason or error}")
    except TimeoutError:
        return Greeting(trouble=f"there is no answer within {LIMIT_S:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Greeting(trouble=getattr(error, "strerror", None) or str(error) or type(error).__name__)
    finally:
        connection.close()


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise SettingsError(f"the CA file {ca_file} cannot be used: {error.strerror or error}") from error


def _connection(endpoint: str, proxy: str, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    url, first = urlsplit(endpoint), urlsplit(proxy or endpoint)
    host, port = first.hostname or "", first.port or (443 if first.scheme == "https" else 80)
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=LIMIT_S)
    connection = http.client.HTTPSConnection(host, port, timeout=LIMIT_S, context=context)
    if proxy:
        connection.set_tunnel(url.hostname or "", url.port or 443)
    return connection


def _tls_of(sock: ssl.SSLSocket) -> tuple[str, float | None]:
    told = sock.getpeercert() or {}
    ends = told.get("notAfter")
    days = (ssl.cert_time_to_seconds(ends) - time.time()) / 86_400 if isinstance(ends, str) else None
    return sock.version() or "", days


def _skew_s(date: str) -> float | None:
    """Whole seconds are told: it counts as the middle of its second."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
    except (TypeError, ValueError):
        return None
