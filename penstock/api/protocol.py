"""One HTTP request of the RPC protocol as plain data: bounded, decoded once, never interpreted.

Reads bytes as the parser hands them over (method, target, headers; then the body) and returns a `Head`, then a `Request`. Who
sent it is `signature`'s question, what it means is `parameters`'; nothing here touches a socket.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from penstock.api.errors import ApiError, illegal_characters
from penstock.api.options import ApiOptions

VERSION = "2017-06-26"
URL_MAX_BYTES = 65_535  # of a target that has to be parsed: httptools counts positions in a URL in 16 bits
_FORM = "application/x-www-form-urlencoded"
_LONG_CHARACTERS = 1024
_ESCAPE_BYTES = 3
_GLANCE_BYTES = 1024
_COMMON = tuple((f"%{ord(letter):02X}", letter) for letter in """/":,{}[] \\""")  # what JSON and paths are full of
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")

Pairs = Sequence[tuple[str, str]]


class Format(StrEnum):
    """The shape of an answer's body."""

    JSON = "json"
    XML = "xml"


LIVE_PATH, READY_PATH = HEALTH_PATHS = (b"/healthz", b"/readyz")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A request's first line and headers. A Struct, as all that each call makes: a frozen dataclass takes ten times as long.

    `headers` have lower-case names; the values of a repeated one are sorted and joined.

    Header values keep their bytes (decoded as Latin-1). `path` is empty for a call of the API, else one of `HEALTH_PATHS`.
    """

    method: str
    query_string: bytes
    headers: Mapping[str, str]
    path: bytes = b""

    def body_bytes(self, options: ApiOptions) -> int | None:
        """How long the body will be; None where only its end will tell. Raises ApiError RequestEntityTooLarge."""
        if "transfer-encoding" in self.headers:
            return None
        announced = self.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > options.body_max_bytes:
            raise body_too_large(options)
        return int(announced)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `parameters` holds query and form together: no name comes twice."""

    method: str
    headers: Mapping[str, str]
    query: Pairs
    form: Pairs
    parameters: Mapping[str, str]
    body: bytes


def read_head(method: str, target: bytes, raw: Sequence[tuple[bytes, bytes]], options: ApiOptions) -> Head:
    """Raises ApiError: the protocol has one path and two methods, and bounds. A HEAD is refused like any other method."""
    path, query_string = _split(target)
    if len(query_string) > options.query_max_bytes:
        raise ApiError("RequestURITooLong", f"The query exceeds {options.query_max_bytes} bytes; send a form body.")
    headers = parse_headers(raw, options)
    if path in HEALTH_PATHS and method == "GET":
        return Head(method=method, query_string=b"", headers=headers, path=path)
    if path not in (b"/", b""):
        raise ApiError("InvalidApi.NotFound", "The API lives at the path `/`.")
    if method not in ("POST", "GET"):
        raise ApiError("UnsupportedHTTPMethod", "The API takes POST and GET.")
    return Head(method=method, query_string=query_string, headers=headers)


def body_too_large(options: ApiOptions) -> ApiError:
    """The refusal of a body that is, or is going to be, too long."""
    return ApiError("RequestEntityTooLarge", f"The request's body exceeds {options.body_max_bytes} bytes.")


def older_body_too_large(options: ApiOptions) -> ApiError:
    """The refusal of a body that no head signs, and that is too long to be decoded for nobody."""
    words = f"Without ACS3-HMAC-SHA256 a body has at most {options.older_body_max_bytes} bytes."
    return ApiError("RequestEntityTooLarge", words)


def parse_headers(raw: Iterable[tuple[bytes, bytes]], options: ApiOptions) -> dict[str, str]:
    """Raises ApiError RequestHeaderTooLarge."""
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    total_bytes = 0
    for raw_name, raw_value in raw:
        total_bytes += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        if name in headers:
            values = repeated.setdefault(name, [headers[name]])
            values.append(value)
        headers[name] = value
    if total_bytes > options.header_max_bytes:
        raise ApiError("RequestHeaderTooLarge", f"The request's headers exceed {options.header_max_bytes} bytes.")
    for name, values in repeated.items():
        headers[name] = ",".join(sorted(values))
    return headers


def read_query(head: Head, options: ApiOptions) -> Pairs:
    """The query's parameters, decoded. Raises ApiError for one that is not UTF-8."""
    return _pairs(head.query_string, options.parameter_max_count)


def parse_request(head: Head, body: bytes, options: ApiOptions) -> Request:
    """Decode query and form body. Raises ApiError for whatever is too long, repeated, not UTF-8 or no form."""
    query, headers = read_query(head, options), head.headers
    if body and headers.get("content-type", _FORM).partition(";")[0].strip().lower() != _FORM:
        raise ApiError("InvalidParameter.Format", f"A body has to be a form: content-type {_FORM}.")
    form = _pairs(body, options.parameter_max_count - len(query)) if body else ()
    parameters = dict(query)
    if form:
        parameters.update(form)
    if len(parameters) != len(query) + len(form):
        raise ApiError("InvalidParameter.Format", "A parameter was given twice.")
    return Request(method=head.method, headers=headers, query=query, form=form, parameters=parameters, body=body)


def value_in(encoded: bytes, name: str, options: ApiOptions) -> str | None:
    """What an undecoded query or form gives this parameter; None where it gives none. Decodes nothing that is long."""
    for piece in encoded.split(b"&", options.parameter_max_count):
        given, _, value = piece.partition(b"=")
        try:
            if len(given) <= _ESCAPE_BYTES * len(name) and _decoded(given.decode("utf-8")) == name:
                return _decoded(value[:_GLANCE_BYTES].decode("utf-8"))
        except UnicodeDecodeError:
            continue
    return None


def answer_format(parameters: Mapping[str, str]) -> Format:
    """Raises ApiError for a Format that is neither JSON nor XML."""
    asked = parameters.get("Format", "")
    if not asked:
        return Format.JSON
    try:
        return Format(asked.lower())
    except ValueError:
        raise ApiError("InvalidParameter.Format", "Format is JSON or XML.") from None


def format_hint(options: ApiOptions, *encoded: bytes) -> Format:
    """What an undecoded query, and form, seem to ask for: the shape of refusals that come before the request is read."""
    asked = {value_in(one, "Format", options) for one in encoded}
    return Format.XML if any(word and word.lower() == Format.XML for word in asked) else Format.JSON


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Path and query. Raises ApiError for a target that is none, or that is longer than any of ours."""
    if target.startswith(b"/?") and b"#" not in target:
        return b"/", target[2:]  # what every SDK sends, however long it is
    if len(target) > URL_MAX_BYTES:
        raise ApiError("RequestURITooLong", f"The URL exceeds {URL_MAX_BYTES} bytes; send a form body.")
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise ApiError("InvalidParameter.Format", "The request's target is no URL.") from None
    return url.path or b"", url.query or b""


def _pairs(encoded: bytes, max_count: int) -> list[tuple[str, str]]:
    if not encoded:
        return []
    try:
        pieces = encoded.decode("utf-8").split("&", max_count + 1)
        if len(pieces) > max_count:
            raise ApiError("InvalidParameter.Format", "The request has too many parameters.")
        pairs = [piece.partition("=") for piece in pieces if piece]
        return [(_decoded(name), _decoded(value)) for name, _, value in pairs]
    except UnicodeDecodeError:
        raise illegal_characters("A parameter", "it is not UTF-8") from None


def _decoded(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    # Slashes are what most values need decoded; the general way is ten times as slow. The `%` of another escape is left, and
    # no new escape can come to be: `/` is no hexadecimal digit.
    slashed = text.replace("%2F", "/")
    if "%" not in slashed:
        return slashed
    return (_unescaped(slashed) if len(slashed) > _LONG_CHARACTERS else unquote_to_bytes(slashed)).decode("utf-8")


def _unescaped(text: str) -> bytes:
    """As `unquote_to_bytes`, which makes two objects of each escape: half a second of the loop's time for 4 MiB of them."""
    for escape, letter in _COMMON:  # none is a hexadecimal digit or `%`: no new escape can come to be
        text = text.replace(escape, letter)
    if text.count("%") * 4 <= len(text):
        return unquote_to_bytes(text)  # they stand alone: a call for each would be slower
    return _ESCAPES.sub(lambda run: unhexlify(run[0].replace(b"%", b"")), text.encode())
