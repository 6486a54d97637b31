"""Whole numbers out of what a client wrote. Calls nothing.

The one place that turns a client's digits into an int: Python refuses to read some thousands of them (ValueError), and what reads
only the first few takes a number for another.
"""

from __future__ import annotations

DIGITS_MAX = 19  # those of 2**63 - 1, beyond which nothing here counts


def whole_number(text: str) -> int | None:
    """What 1 to 19 ASCII digits say; None for any other text."""
    return int(text) if len(text) <= DIGITS_MAX and text.isascii() and text.isdigit() else None
