"""Which bytes a GET answers with, and whether it answers at all: Range and the four If-* headers. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from penstock.emulator.protocol.errors import OssFault, invalid_argument, precondition_failed

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`length_bytes` from `offset_bytes`; `partial` tells a 206 from a 200."""

    offset_bytes: int
    length_bytes: int
    partial: bool


def resolve(asked: str, behavior: str, size_bytes: int) -> Span:
    """What a Range header means for an object of this size.

    Without `x-oss-range-behavior: standard` a range that does not lie inside the object is ignored (200 and the whole
    object), even when only its end is too large. With it the end is clipped, and a start beyond the object is refused
    (OssFault 416 InvalidRange).
    """
    if behavior not in {"", "standard"}:
        raise invalid_argument("x-oss-range-behavior is standard.", name="x-oss-range-behavior", value=behavior)
    whole = Span(offset_bytes=0, length_bytes=size_bytes, partial=False)
    match = _RANGE.match(asked.strip())
    if match is None or match.group(1) == match.group(2) == "":
        return whole
    first_text, last_text = match.groups()
    if first_text and last_text and int(first_text) > int(last_text):
        return whole
    standard = behavior == "standard"
    if not first_text:
        suffix = int(last_text)
        if standard:
            if suffix == 0 or size_bytes == 0:
                raise _beyond(asked, size_bytes)
            suffix = min(suffix, size_bytes)
        elif not 1 <= suffix <= size_bytes:
            return whole
        return Span(offset_bytes=size_bytes - suffix, length_bytes=suffix, partial=True)
    first = int(first_text)
    last = int(last_text) if last_text else size_bytes - 1
    if first >= size_bytes:
        if standard:
            raise _beyond(asked, size_bytes)
        return whole
    if last >= size_bytes:
        if not standard:
            return whole
        last = size_bytes - 1
    return Span(offset_bytes=first, length_bytes=last - first + 1, partial=True)


def _beyond(asked: str, size_bytes: int) -> OssFault:
    return OssFault(
        416,
        "InvalidRange",
        "The range does not lie inside the object.",
        elements={"ActualObjectSize": str(size_bytes), "RangeRequested": asked[:256]},
        headers={"Content-Range": f"bytes */{size_bytes}"},
    )


def _seconds(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _names(header: str, etag: str) -> bool:
    return any(candidate.strip().strip('"').upper() in {etag.upper(), "*"} for candidate in header.split(","))


def check_conditions(headers: Mapping[str, str], *, prefix: str, etag: str, modified_ns: int) -> None:
    """Hold the If-* headers against an object. `prefix` is "" or "x-oss-copy-source-".

    Raises OssFault 412 PreconditionFailed, or 304 NotModified (412 for a copy's source).
    """
    modified_s = modified_ns // 10**9
    if_match = headers.get(f"{prefix}if-match")
    if if_match is not None and not _names(if_match, etag):
        raise precondition_failed("If-Match")
    unmodified = _seconds(headers.get(f"{prefix}if-unmodified-since", ""))
    if unmodified is not None and if_match is None and modified_s > unmodified:
        raise precondition_failed("If-Unmodified-Since")
    if_none_match = headers.get(f"{prefix}if-none-match")
    since = _seconds(headers.get(f"{prefix}if-modified-since", ""))
    if if_none_match is None:
        if since is None or modified_s > since:
            return
    elif not _names(if_none_match, etag):
        return
    if prefix:
        raise precondition_failed("If-None-Match" if if_none_match is not None else "If-Modified-Since")
    raise OssFault(304, "NotModified", "The object has not changed.", headers={"ETag": f'"{etag}"'})
