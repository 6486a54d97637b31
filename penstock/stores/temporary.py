"""Temporary credentials as they come from elsewhere: a JSON document of OSS or of S3, read and judged. Pure.

The documents are those of an instance's metadata service, of AssumeRole and of credential processes; the two families name the
same things differently, and each is taken. Of what the document says a message holds its Code at most, and that only where it is
one word of 40 letters or less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.errors import PermissionDeniedError
from penstock.model import Credentials

DOCUMENT_MAX_BYTES = 64 * 1024
NEVER_NS = 2**63 - 1
_KEY_IDS = ("AccessKeyId",)
_SECRETS = ("AccessKeySecret", "SecretAccessKey")
_TOKENS = ("SecurityToken", "SessionToken", "Token")
_DONE = frozenset({"", "Success"})
_WORD = re.compile(r"[A-Za-z]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Temporary:
    """Credentials and until when they hold (UTC nanoseconds; NEVER_NS: no end is told)."""

    credentials: Credentials
    expires_ns: int = NEVER_NS


def temporary_of(document: bytes, *, place: str) -> Temporary:
    """Read the document. `place` is where it comes from, for the sentence. Raises PermissionDeniedError: a person can mend it."""
    try:
        told = json.loads(document) if len(document) <= DOCUMENT_MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise _unusable(place, "it is no JSON") from error.with_traceback(None)
    if isinstance(told, Mapping) and isinstance(told.get("Credentials"), Mapping):
        told = told["Credentials"]  # as AssumeRole wraps it
    if not isinstance(told, Mapping):
        raise _unusable(place, "it is no JSON object")
    code = told.get("Code", "")
    if not isinstance(code, str) or code not in _DONE:
        word = f"{code}, " if isinstance(code, str) and _WORD.fullmatch(code) else ""
        raise _unusable(place, f"its Code is {word}not Success")
    key_id, secret, token = (_text(told, names) for names in (_KEY_IDS, _SECRETS, _TOKENS))
    if not key_id or not secret:
        raise _unusable(place, "it lacks AccessKeyId, or AccessKeySecret (S3: SecretAccessKey)")
    return Temporary(
        credentials=Credentials(access_key_id=key_id, access_key_secret=secret, security_token=token),
        expires_ns=_expiry_ns(told.get("Expiration"), place),
    )


def _text(told: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = next((told[name] for name in names if told.get(name)), "")
    return found.strip() if isinstance(found, str) else ""


def _expiry_ns(told: object, place: str) -> int:
    """`2026-01-31T12:00:00Z`, or seconds since 1970."""
    if told is None or told == "":
        return NEVER_NS
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 < told < 10**11:
        return int(told) * 10**9
    try:
        moment = datetime.fromisoformat(str(told))
        if moment.tzinfo is None:
            raise ValueError("it has no zone")
        return int(moment.timestamp()) * 10**9
    except (ValueError, OverflowError) as error:
        raise _unusable(place, "its Expiration is no time with a zone") from error


def _unusable(place: str, why: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"the credentials of {place} cannot be used: {why}")
