"""Server-sent events: how one is written, and which cursor a client came back with.

Pure. What is sent, and when, is `live`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

MEDIA_TYPE = "text/event-stream"
CURSOR_MAX_CHARACTERS = 200
KEEP_ALIVE = b": still here\n\n"
"""A comment: tells proxies and the other side that the connection lives."""

_CURSOR = re.compile(r"[A-Za-z0-9._:|=-]*", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")


def event(name: str, data: object, *, cursor: str = "") -> bytes:
    """One event as bytes. `data` becomes JSON, which has no line end in it; `cursor` comes back when the client reconnects."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {cursor}\n" if cursor else ""
    return f"{head}event: {name}\ndata: {text}\n\n".encode("utf-8", "backslashreplace")


def page_part(name: str, html: str, *, cursor: str = "") -> bytes:
    """An event whose data is a piece of a page, line by line as the format wants it."""
    head = f"id: {cursor}\n" if cursor else ""
    lines = "".join(f"data: {line}\n" for line in _LINE_END.split(html))
    return f"{head}event: {name}\n{lines}\n".encode("utf-8", "backslashreplace")


def retry_after(milliseconds: int) -> bytes:
    """Tells the client how long to wait before it reconnects by itself."""
    return f"retry: {milliseconds}\n\n".encode()


def cursor_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """Where the client wants to go on: `Last-Event-ID` of a browser that reconnects, else `cursor` in the URL; "" is from now.

    What is no cursor of ours counts as none: the client is then sent everything that it sees anew.
    """
    text = headers.get("last-event-id") or query.get("cursor", "")
    if len(text) > CURSOR_MAX_CHARACTERS or not _CURSOR.fullmatch(text):
        return ""
    return text
