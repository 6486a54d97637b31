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


def event(name: str, data: object, *, cursor: str = "") -> bytes:
    """One event as bytes. `data` becomes JSON, which has no line end in it; `cursor` comes back when the client reconnects."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {cursor}\n" if cursor else ""
    return f"{head}event: {name}\ndata: {text}\n\n".encode("utf-8", "backslashreplace")


def cursor_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """Where the client wants to go on: `Last-Event-ID` of a browser that reconnects, else `from` in the URL; "" is from now.

    What is no cursor of ours counts as none: the client is then sent everything that it sees anew.
    """
    text = headers.get("last-event-id") or query.get("from", "")
    if len(text) > CURSOR_MAX_CHARACTERS or not _CURSOR.fullmatch(text):
        return ""
    return text
