"""How long each step of a request may take. Pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that one step may take: connecting (TLS included), one send, the first byte of an answer, one read.

    `slot_s` bounds the wait for a free connection; `idle_s` is the age at which an unused connection is no longer trusted.
    """

    connect_s: float = 5.0
    send_s: float = 30.0
    first_byte_s: float = 60.0
    read_s: float = 30.0
    slot_s: float = 60.0
    idle_s: float = 20.0
