"""Raw requests, signed here by hand (V1): what an SDK hides or refuses to send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from tests.fixtures.emulator import EmulatorServer

_SIGNED_WORDS = """
    acl append bucketInfo continuation-token cors delete lifecycle live location objectMeta partNumber policy position
    response-content-type restore sequential stat symlink tagging uploadId uploads versionId versioning
    versions x-oss-request-payer
"""
SIGNED = frozenset(_SIGNED_WORDS.split())
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, read to its end. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def xml(self) -> ElementTree.Element:
        """The body's root element."""
        return ElementTree.fromstring(self.body)

    @property
    def code(self) -> str:
        """The error code; of a HEAD out of x-oss-err."""
        body = self.body or base64.b64decode(self.headers.get("x-oss-err", ""))
        return ElementTree.fromstring(body).findtext("Code") or "" if body else ""


def connect(server: EmulatorServer) -> http.client.HTTPConnection:
    """A connection of the test's own."""
    return http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=TIMEOUT_S)


def target(bucket: str = "", key: str = "", query: Mapping[str, str] | None = None) -> str:
    """The request target, path style."""
    path = "/" + (f"{bucket}/{quote(key, safe='/')}" if bucket else "")
    pairs = "&".join(quote(n, safe="") + (f"={quote(v, safe='')}" if v else "") for n, v in (query or {}).items())
    return f"{path}?{pairs}" if pairs else path


def signed(
    server: EmulatorServer,
    method: str,
    bucket: str = "",
    key: str = "",
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a request, with Date and a V1 Authorization."""
    made = {name.lower(): value for name, value in (headers or {}).items()}
    made.setdefault("date", formatdate(usegmt=True))
    pairs = sorted((n, v) for n, v in (query or {}).items() if n in SIGNED)
    resource = f"/{bucket}/{key}" if bucket else "/"
    if pairs:
        resource += "?" + "&".join(f"{n}={v}" if v else n for n, v in pairs)
    oss = "".join(f"{n}:{v}\n" for n, v in sorted(made.items()) if n.startswith("x-oss-"))
    lead = [method, made.get("content-md5", ""), made.get("content-type", ""), made["date"], oss + resource]
    digest = hmac.new(server.access_key_secret.encode(), "\n".join(lead).encode(), hashlib.sha1).digest()
    made["authorization"] = f"OSS {server.access_key_id}:{base64.b64encode(digest).decode()}"
    return made


def read(connection: http.client.HTTPConnection) -> Reply:
    """The answer to what was sent on `connection`."""
    answer = connection.getresponse()
    body = answer.read()
    return Reply(status=answer.status, headers={n.lower(): v for n, v in answer.getheaders()}, body=body)


def send(
    server: EmulatorServer,
    method: str,
    bucket: str = "",
    key: str = "",
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    connection: http.client.HTTPConnection | None = None,
) -> Reply:
    """One signed request and its answer, on a connection of its own unless one is given."""
    made = signed(server, method, bucket, key, query=query, headers=headers)
    used = connection or connect(server)
    try:
        used.request(method, target(bucket, key, query), body=body, headers=made)
        return read(used)
    finally:
        if connection is None:
            used.close()
