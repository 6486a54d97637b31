"""What comes back from the API: an answer, a refusal, or nothing that can be read as either. Pure; called by the wires."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from penstock.errors import ApiRefusedError, ApiUnreachableError

ANSWER_MAX_BYTES = 64 << 20
RETRY_AFTER_MAX_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer as it came. `retry_after_s` is what it asks to wait before the next call; 0: it asks nothing."""

    status: int
    body: bytes
    retry_after_s: float = 0.0


def read_answer(endpoint: str, answered: Answered) -> dict[str, Any]:
    """What the API answered. Raises ApiRefusedError (its own word), ApiUnreachableError (it is none)."""
    try:
        answer = json.loads(answered.body)
    except (ValueError, RecursionError) as error:
        raise ApiUnreachableError(
            f"{endpoint} answered {answered.status} with something that is not JSON: is it Penstock's API?"
        ) from error
    if not isinstance(answer, dict):
        raise ApiUnreachableError(f"{endpoint} answered {answered.status} with JSON that is no object")
    if answered.status != 200:
        told = str(answer.get("Message") or f"HTTP {answered.status}")
        if not answer.get("Code"):
            told = (
                f"{endpoint} answered {answered.status} as no API of Penstock does: is it the address of its console?"
            )
        raise ApiRefusedError(
            told,
            code=str(answer.get("Code") or f"HTTP{answered.status}"),
            status=answered.status,
            request_id=str(answer.get("RequestId") or ""),
            hint=str(answer.get("Recommend") or ""),
            retry_after_s=answered.retry_after_s,
        )
    return answer


def retry_after_s(*told: str | None) -> float:
    """The first wish that can be read, in seconds; dates are not (the API sends none)."""
    for text in told:
        if text and text.strip().isdecimal():
            return min(float(text), RETRY_AFTER_MAX_S)
    return 0.0


def reason(error: Exception) -> str:
    """Why there was no answer, for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
