"""How long each step of a request may take. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

SILENT_RETRY_S = 10.0
"""Who has waited in vain for as long as a step may take does not ask once more at once: that would keep a thread for a minute
again. The engine waits, which costs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that one step may take: connecting (and the same again for TLS), one send, the head of an answer (all of it,
    from when it is waited for), one read of a body.

    `document_s` bounds a body that is read whole before it means anything: an error, a listing.
    A body, sent or received, that has not moved `slow_bytes` in `slow_s` of waiting is given up, for it would keep its place
    for hours without ever exceeding a step's time.
    `slot_s` bounds the wait for a free connection; `idle_s` is the age at which an unused connection is no longer trusted.
    """

    connect_s: float = 5.0
    send_s: float = 30.0
    first_byte_s: float = 60.0
    read_s: float = 30.0
    document_s: float = 120.0
    slow_s: float = 60.0
    slow_bytes: int = 60 << 10
    slot_s: float = 60.0
    idle_s: float = 20.0
