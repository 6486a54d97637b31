"""What a caller may write as a Description. Pure."""

from __future__ import annotations

import re

from penstock.api.errors import ApiError, illegal_characters
from penstock.api.paths import CONTROL

_DESCRIPTION = re.compile(r"(?!https?://)[A-Za-z][A-Za-z0-9:_\- ]{1,127}", re.ASCII)


def description(name: str, text: str) -> str:
    """Raises ApiError IllegalCharacters or InvalidDescription.InvalidFormat."""
    if CONTROL.search(text) or not text.isascii():
        raise illegal_characters(name, "it is letters, digits, blanks and : _ -")
    if _DESCRIPTION.fullmatch(text) is None:
        raise ApiError(
            "InvalidDescription.InvalidFormat",
            f"{name} has 2 to 128 letters, digits, blanks and : _ -, begins with a letter, and is no web address.",
        )
    return text
