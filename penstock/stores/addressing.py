"""Where a request goes: endpoint, bucket and key become a host name and an encoded path; and the request before it is signed.

Pure text; nothing here connects or signs.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from msgspec import Struct

from penstock.errors import SettingsError, StoreRefusedError
from penstock.model import AddressingStyle

# Most keys are nothing but these characters, and quoting each would cost more than to see that.
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*").fullmatch
DEFAULT_PORTS = {"http": 80, "https": 443}


class UnsignedRequest(Struct, frozen=True, kw_only=True):
    """One request as a signer sees it. Header names are in lower case; `path` is encoded, `query` and `key` are not."""

    method: str
    path: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    payload_sha256: str = "UNSIGNED-PAYLOAD"

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        if not self.query:
            return self.path
        query = "&".join(f"{name}={value}" if value else name for name, value in encoded_query(self.query))
        return f"{self.path}?{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A bucket's place: which host to connect to, what it is called there, and how paths begin."""

    scheme: str
    host: str
    port: int
    path_prefix: str

    @property
    def host_header(self) -> str:
        """Host as HTTP wants it: without the scheme's own port, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def path(self, key: str) -> str:
        """The encoded path of an object, or of the bucket when `key` is empty. Raises StoreRefusedError."""
        return self.path_prefix + encoded_key(key)


def address_of(bucket: str, endpoint: str, style: AddressingStyle) -> Address:
    """Take an endpoint (`http[s]://host[:port]`) apart. Raises SettingsError for anything that is none."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"the endpoint {endpoint!r} of bucket {bucket} is no URL: {error}") from error
    host = parts.hostname or ""
    if parts.scheme not in DEFAULT_PORTS or not host or parts.path.strip("/") or parts.query or parts.username:
        raise SettingsError(f"the endpoint {endpoint!r} of bucket {bucket} must look like http[s]://host[:port]")
    prefix = "/"
    if style is AddressingStyle.PATH:
        prefix = f"/{bucket}/"
    elif style is AddressingStyle.VIRTUAL_HOST:
        if _is_ip_address(host):
            raise SettingsError(f"bucket {bucket}: an IP address as endpoint ({host}) needs path style addressing")
        host = f"{bucket}.{host}"
    return Address(scheme=parts.scheme, host=host, port=port or DEFAULT_PORTS[parts.scheme], path_prefix=prefix)


def encoded_key(key: str) -> str:
    """A key as it stands in a path: everything but `A-Za-z0-9-_.~/` %-escaped. Raises StoreRefusedError."""
    if _PLAIN(key):
        return key
    try:
        return quote(key.encode("utf-8"), safe="/~")
    except UnicodeEncodeError as error:
        raise StoreRefusedError(f"{key!r} cannot be an object's key: it is not UTF-8 text", key=key) from error


def encoded_query(query: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values %-escaped, in the order in which they are signed. Raises StoreRefusedError."""
    if not query:
        return []
    try:
        return sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    except UnicodeEncodeError as error:
        raise StoreRefusedError("a prefix or key to list from is not UTF-8 text") from error


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
