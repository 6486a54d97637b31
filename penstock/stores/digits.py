"""Numbers as stores tell them: in plain digits. Pure."""

from __future__ import annotations

DIGITS_MAX = 20
"""As many as the largest 64-bit number has. Python refuses to read some thousands, by an error nobody expects."""


def number_of(text: str) -> int | None:
    """A number that is not negative; None for anything else, be it too long a row of digits."""
    text = text.strip(" \t\r\n")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None
