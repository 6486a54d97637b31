"""Amounts as people read them: binary sizes, durations, times. Pure; `static/amounts.js` says the same in the page."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
SECOND_NS = 1_000_000_000


def binary(count_bytes: float) -> str:
    """`1.5 GiB`: three digits that matter, the largest unit that leaves at least one before the point."""
    value, unit = float(count_bytes), 0
    while abs(value) >= _STEP - 0.5 and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    if unit == 0:
        return f"{value:.0f} B"
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def whole(count: int) -> str:
    """`1,234,567`."""
    return f"{count:,}"


def exact_bytes(count_bytes: int) -> str:
    """`1,610,612,736 bytes`, for whoever wants to know it all."""
    return f"{count_bytes:,} byte{'' if count_bytes == 1 else 's'}"


def duration(seconds: float) -> str:
    """`850 ms`, `12.3 s`, `4 min 05 s`, `3 h 07 min`, `2 d 04 h`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    total = round(seconds)
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if minutes < 60:
        return f"{minutes} min {total % 60:02d} s"
    if hours < 24:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {hours % 24:02d} h"


def utc(at_ns: int) -> str:
    """`2026-01-31 12:00:00`."""
    return _at(at_ns).strftime("%Y-%m-%d %H:%M:%S")


def utc_machine(at_ns: int) -> str:
    """`2026-01-31T12:00:00Z`, as machines read it."""
    return _at(at_ns).strftime("%Y-%m-%dT%H:%M:%SZ")


def ns_of(utc_text: str) -> int:
    """Of a time as the API tells it (`2026-01-31T12:00:00Z`); 0 where it tells none."""
    try:
        told = datetime.fromisoformat(utc_text)
    except ValueError:
        return 0
    return int(told.replace(tzinfo=told.tzinfo or UTC).timestamp()) * SECOND_NS


def _at(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / SECOND_NS, UTC)
