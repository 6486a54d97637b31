"""How long each step of a request may take. Pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that one step may take: connecting (and the same again for TLS), one send, the head of an answer (all of it,
    from when it is waited for), one read of a body.

    `document_s` bounds a body that is read whole before it means anything: an error, a listing.
    `slot_s` bounds the wait for a free connection; `idle_s` is the age at which an unused connection is no longer trusted.
    """

    connect_s: float = 5.0
    send_s: float = 30.0
    first_byte_s: float = 60.0
    read_s: float = 30.0
    document_s: float = 120.0
    slot_s: float = 60.0
    idle_s: float = 20.0
