"""Times as the API writes and reads them: UTC nanoseconds inside, two texts outside. No clock is read here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from penstock.errors import SettingsError

_NS = 1_000_000_000
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)
_MINUTE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?Z", re.ASCII)


def zone_named(name: str) -> tzinfo:
    """The zone of `api_time_zone`: UTC, an offset such as `+08:00`, or a name of the tz database.

    Raises SettingsError for a name that this system does not know.
    """
    if name == "UTC":
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"api_time_zone {name!r} is not known here; an example is Asia/Shanghai, the default UTC"
        ) from error


def utc_text(time_ns: int) -> str:
    """`2024-10-23T16:28:16Z`, as dataflows and file systems have it."""
    return f"{datetime.fromtimestamp(time_ns // _NS, UTC):%Y-%m-%dT%H:%M:%SZ}"


def zone_text(time_ns: int, zone: tzinfo) -> str:
    """`2024-10-23 16:28:16` without a zone, as tasks and sub-tasks have it."""
    return datetime.fromtimestamp(time_ns // _NS, zone).isoformat(" ", "seconds")[:19]


@lru_cache(maxsize=256)
def stamp_s(text: str) -> int | None:
    """Seconds since 1970 of `yyyy-MM-ddTHH:mm:ssZ`; None for any other text."""
    return _seconds(_STAMP.fullmatch(text))


def minute_ns(text: str) -> int | None:
    """Nanoseconds of `yyyy-MM-ddThh:mmZ` (seconds may be given too), as filters have it; None for any other text."""
    seconds = _seconds(_MINUTE.fullmatch(text))
    return None if seconds is None else seconds * _NS


def _seconds(match: re.Match[str] | None) -> int | None:
    if match is None:
        return None
    try:
        return int(datetime(*(int(digits or 0) for digits in match.groups()), tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]
    except (ValueError, OverflowError):
        return None
