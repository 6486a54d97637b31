"""The last calls of the API, for whoever tries out a program against it: what was asked, what was answered, how long it took.

Remembers references to what a call has made anyway, and looks at nothing before somebody asks: a call pays for one small value.
Bounded in number and, by what is kept of large ones, in bytes. Calls nobody. Signatures and tokens are never told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count

import msgspec

from penstock.api.answers import Answer, Body, Caller
from penstock.api.callers import Heard
from penstock.api.downloads import unsigned
from penstock.api.operation import Effect, Operation, Origin
from penstock.api.protocol import Head

_NS_PER_US = 1000
SIGNED_MAX = 500
UNSIGNED_MAX = 100  # strangers can make as many as they like: they push out none of those that were signed
WHOLE_MAX = 16  # large requests and answers that are kept as they are
SMALL_REQUEST_BYTES = 2 << 10
SHORTENED_PARAMETERS = 40
SHORTENED_CHARACTERS = 200
KEPT_HEADERS = ("authorization", "user-agent", "x-acs-action")
SECRET = frozenset({"Signature", "SecurityToken", "x-acs-security-token"})


class Sighting(msgspec.Struct, kw_only=True):
    """One call, as it is told. `is_cut`: it was large, and only the beginning of parameters and answer is left."""

    number: int
    at_ns: int
    took_s: float
    action: str
    access_key_id: str
    method: str
    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    status: int
    code: str
    request_id: str
    answer: Body
    marks: tuple[tuple[str, str], ...]
    origin: Origin
    is_signed: bool
    is_cut: bool = False


class _Seen(msgspec.Struct):
    """The same while nobody asks: what is there anyway, by reference. Made for every call, so it is as little as can be."""

    number: int
    at_ns: int
    took_s: float
    head: Head
    parameters: Mapping[str, str]
    operation: Operation
    access_key_id: str
    answer: Answer
    is_cut: bool = False

    def told(self) -> Sighting:
        """As others want it."""
        return Sighting(
            number=self.number,
            at_ns=self.at_ns,
            took_s=self.took_s,
            action=self.operation.name,
            access_key_id=self.access_key_id,
            method=self.head.method,
            headers=self.head.headers,
            parameters=self.parameters,
            status=self.answer.status,
            code=self.answer.code,
            request_id=self.answer.request_id,
            answer=unsigned(self.answer.body),
            marks=self.answer.headers,
            origin=self.operation.origin,
            is_signed=True,
            is_cut=self.is_cut,
        )


class Witness:
    """Remembers calls, oldest first out. For the loop's thread.

    `now_ns` is when it begins. Numbers begin with it, in microseconds, so that those of a later service are larger.
    """

    def __init__(self, now_ns: int) -> None:
        self._numbers = count(now_ns // _NS_PER_US)
        self._signed: deque[_Seen] = deque(maxlen=SIGNED_MAX)
        self._replayed: deque[_Seen] = deque(maxlen=UNSIGNED_MAX)
        self._unsigned: deque[Sighting] = deque(maxlen=UNSIGNED_MAX)
        self._whole: deque[_Seen] = deque()

    def saw(
        self, head: Head, body_bytes: int, heard: Heard | None, answer: Answer, *, at_ns: int, took_s: float
    ) -> None:
        """One call has been answered."""
        number = next(self._numbers)
        if heard is None:
            self._unsigned.append(_stranger(number, head, answer, at_ns=at_ns, took_s=took_s))
            return
        operation = heard.operation
        seen = _Seen(number, at_ns, took_s, head, heard.request.parameters, operation, heard.key.access_key_id, answer)
        # Who sends again what was overheard proves no key.
        (self._signed if answer.caller is Caller.SIGNED else self._replayed).append(seen)
        if operation.effect is Effect.READ or body_bytes + len(head.query_string) > SMALL_REQUEST_BYTES:
            self._whole.append(seen)
            if len(self._whole) > WHOLE_MAX:
                _shorten(self._whole.popleft())

    def calls(self, after: int = 0) -> Iterator[Sighting]:
        """Newest first, those with a number beyond `after`."""
        seen: list[_Seen | Sighting] = [*self._signed, *self._replayed, *self._unsigned]
        for each in sorted(seen, key=lambda one: -one.number):
            if each.number <= after:
                return
            yield each.told() if isinstance(each, _Seen) else each


def _stranger(number: int, head: Head, answer: Answer, *, at_ns: int, took_s: float) -> Sighting:
    """Of what anybody may send, little is kept."""
    return Sighting(
        number=number,
        at_ns=at_ns,
        took_s=took_s,
        action=head.headers.get("x-acs-action", "")[:SHORTENED_CHARACTERS],
        access_key_id="",
        method=head.method,
        headers={"user-agent": head.headers.get("user-agent", "")[:SHORTENED_CHARACTERS]},
        parameters={},
        status=answer.status,
        code=answer.code,
        request_id=answer.request_id,
        answer=answer.body,
        marks=(),
        origin=Origin.VENDOR,
        is_signed=False,
    )


def _shorten(seen: _Seen) -> None:
    """Lets go of what is large. A list in an answer may be long: the answer to a read is taken for that."""
    whole = seen.answer
    kept = {name: value for name, value in whole.body.items() if isinstance(value, str | int)}
    seen.answer = Answer(
        status=whole.status,
        action=whole.action,
        request_id=whole.request_id,
        body=kept,
        code=whole.code,
        headers=whole.headers,
    )
    seen.is_cut = len(kept) < len(whole.body)
    if _is_long(seen):
        _shorten_request(seen)


def _is_long(seen: _Seen) -> bool:
    if len(seen.parameters) > SHORTENED_PARAMETERS or len(seen.head.query_string) > SMALL_REQUEST_BYTES:
        return True
    return max(map(len, seen.parameters.values()), default=0) > SHORTENED_CHARACTERS


def _shorten_request(seen: _Seen) -> None:
    names = list(seen.parameters)[:SHORTENED_PARAMETERS]
    seen.parameters = {name[:SHORTENED_CHARACTERS]: seen.parameters[name][:SHORTENED_CHARACTERS] for name in names}
    kept = {name: seen.head.headers.get(name, "")[:SHORTENED_CHARACTERS] for name in KEPT_HEADERS}
    seen.head = Head(method=seen.head.method, query_string=b"", headers=kept)
    seen.is_cut = True
