"""One call of the API as the request log shows it. A plain value: whoever assembles the service makes it of what the API saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`parameters` and `answer` hold no secret. `is_cut`: it was large, and only some of it is kept."""

    number: int
    at_ns: int
    took_s: float
    action: str
    access_key_id: str
    client: str
    status: int
    code: str
    request_id: str
    parameters: Mapping[str, str]
    answer: Mapping[str, Any]
    hints: tuple[str, ...]
    is_cut: bool

    def holds(self, text: str) -> bool:
        """Whether a search for this text finds it."""
        where = (self.action, self.code, self.request_id, self.access_key_id, *self.parameters.values())
        return not text or any(text.lower() in each.lower() for each in where)
