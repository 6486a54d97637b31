"""Callbacks: asked for with an upload, never made. The object is there all the same, and the answer says both, as OSS does."""

from __future__ import annotations

from penstock.emulator.protocol.answer import Answer, refusal
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault

_HEADER, _PARAMETER = "x-oss-callback", "callback"


def refused(call: Call, answer: Answer) -> Answer:
    """`answer`, or where a callback was asked for: its headers with status 203 and the error CallbackFailed."""
    if _HEADER not in call.headers and _PARAMETER not in call.query:
        return answer
    fault = OssFault(
        203, "CallbackFailed", "The object is stored; the emulator makes no callbacks.", headers=answer.headers
    )
    return refusal(fault, request_id=call.request_id, host=call.host, method=call.method)
