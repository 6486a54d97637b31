"""How a call is written and signed (ACS3-HMAC-SHA256): parameters, query, form, headers.

Pure: clock and randomness are arguments, nothing is sent. Called by the wires.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from penstock.errors import ApiUnreachableError

API_VERSION = "2017-06-26"
ALGORITHM = "ACS3-HMAC-SHA256"
FORM_TYPE = "application/x-www-form-urlencoded"

Parameter = str | int | bool | Sequence["Parameter"] | Mapping[str, "Parameter"]
"""What a parameter may be: lists become `Name.1`, `Name.2`, mappings become `Name.Key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Where to call and as whom. `endpoint` is `http[s]://host[:port]`; `ca_file` verifies it (empty: the system's)."""

    endpoint: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    ca_file: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: its action, its parameters, and as ASCII text in `form` what is too long for a URL."""

    action: str
    parameters: Mapping[str, Parameter | None]
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A call as it is sent: a POST to `target`. `headers` has lower-case names, content-length among them."""

    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an endpoint is, and how its Host header reads."""

    name: str
    port: int
    host: str
    is_tls: bool


def address_of(endpoint: str) -> Address:
    """Raises ApiUnreachableError for what is no address."""
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError as error:
        raise ApiUnreachableError(f"{endpoint!r} is not http[s]://host[:port]") from error
    if url.scheme not in {"http", "https"} or not url.hostname or url.path.strip("/") or url.query:
        raise ApiUnreachableError(f"{endpoint!r} is not http[s]://host[:port]")
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    usual = {"http": 80, "https": 443}[url.scheme]
    return Address(
        name=url.hostname,
        port=port or usual,
        host=name if port in {None, usual} else f"{name}:{port}",
        is_tls=url.scheme == "https",
    )


def written(options: ClientOptions, call: Call, *, host: str, now_s: float, nonce: str) -> Written:
    """The call, signed."""
    query = canonical_query(flatten(call.parameters))
    body = form_body(call.form)
    headers = signed_headers(options, host=host, action=call.action, query=query, body=body, now_s=now_s, nonce=nonce)
    return Written(
        target=f"/?{query}" if query else "/", headers={**headers, "content-length": str(len(body))}, body=body
    )


def flatten(parameters: Mapping[str, Parameter | None]) -> dict[str, str]:
    """Parameters as the wire has them; those that are None are left out."""
    flat: dict[str, str] = {}

    def put(name: str, value: Parameter) -> None:
        if isinstance(value, bool):
            flat[name] = "true" if value else "false"
        elif isinstance(value, str | int):
            flat[name] = str(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                put(f"{name}.{key}", inner)
        else:
            for number, inner in enumerate(value, start=1):
                put(f"{name}.{number}", inner)

    for name, value in parameters.items():
        if value is not None:
            put(name, value)
    return flat


def canonical_query(flat: Mapping[str, str]) -> str:
    """The query string, sorted and encoded as it is signed."""
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in sorted(flat.items()))


def form_body(flat: Mapping[str, str]) -> bytes:
    """Parameters, all ASCII, as a form. Only what has a meaning there is escaped: most of a long JSON text is left as it is."""
    return "&".join(f"{quote(name, safe='')}={form_text(value)}" for name, value in flat.items()).encode("ascii")


def form_text(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26").replace("+", "%2B").replace(" ", "%20")


def signed_headers(
    options: ClientOptions, *, host: str, action: str, query: str, body: bytes, now_s: float, nonce: str
) -> dict[str, str]:
    """All headers of a POST to `/`, but content-length; every one (lower-case names) is signed."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": API_VERSION,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s)),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "accept": "application/json",
    }
    if body:
        headers["content-type"] = FORM_TYPE
    headers["authorization"] = _authorization(options, query=query, headers=headers)
    return headers


def _authorization(options: ClientOptions, *, query: str, headers: Mapping[str, str]) -> str:
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    request = f"POST\n/\n{query}\n{lines}\n{signed}\n{headers['x-acs-content-sha256']}"
    text = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(options.access_key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={options.access_key_id},SignedHeaders={signed},Signature={signature}"
