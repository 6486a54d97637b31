"""What befell one file, as a line of events from its creation to its end. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.catalog.views import Happening, HappeningKind, InFull
from penstock.console.advice import remedy
from penstock.console.wording import happening_words
from penstock.model import SubTask, SubTaskStatus

_FAILED = frozenset({HappeningKind.FAILED_TRY})
_HANDED_BACK = frozenset({HappeningKind.RETURNED, HappeningKind.RESCUED})
_ENDS = {
    SubTaskStatus.COMPLETE: ("Complete", "good", "check"),
    SubTaskStatus.FAILED: ("Failed", "bad", "alert"),
    SubTaskStatus.CANCELED: ("Canceled", "quiet", "cross"),
    SubTaskStatus.EXPIRED: ("Expired: it never started in time", "quiet", "clock"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Which attempt a file is at, or ended with: one more than failed. `handed_back`: how often it was begun and gave way, or
    its process was gone, which is no new attempt. `is_more`: not all that happened is kept, it may be more."""

    number: int
    handed_back: int
    is_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One of them. `times` of the same from `at_ns` to `last_ns`; `due_ns` is when it was to be tried again."""

    at_ns: int
    title: str
    words: str = ""
    tone: str = "quiet"
    shape: str = "dot"
    code: str = ""
    request_id: str = ""
    attempt: int = 0
    times: int = 1
    last_ns: int = 0
    due_ns: int = 0
    key: str = ""


def timeline(kept: InFull) -> tuple[Event, ...]:
    """All that is known, oldest first; where happenings were left out in between, an event says how many."""
    return tuple(_events(kept))


def attempts(kept: InFull) -> Attempts:
    """As a person counts them: what the catalog calls so is a number for each time that somebody takes it up."""
    return Attempts(
        number=_many(kept, _FAILED) + 1 if kept.listed.sub_task.attempt else 0,
        handed_back=_many(kept, _HANDED_BACK),
        is_more=kept.left_out > 0,
    )


def _many(kept: InFull, kinds: frozenset[HappeningKind]) -> int:
    return sum(each.times for each in kept.happenings if each.kind in kinds)


def _events(kept: InFull) -> Iterator[Event]:
    sub_task = kept.listed.sub_task
    yield Event(at_ns=sub_task.created_ns, title="Accepted", shape="plus", key="created")
    befallen: list[Event] = []
    failed = 0
    for each in kept.happenings:
        failed += each.times if each.kind in _FAILED else 0
        if not _is_end(each, sub_task):
            befallen.append(_befallen(each, 0 if kept.left_out and befallen else failed))
    if sub_task.started_ns:
        befallen.append(Event(at_ns=sub_task.started_ns, title="Started", tone="moves", shape="play", key="started"))
    befallen.sort(key=lambda event: event.at_ns)
    for place, event in enumerate(befallen):
        yield event
        if kept.left_out and place == 1:
            words = "Of very many only the first and the newest are kept."
            yield Event(at_ns=event.at_ns, title=f"{kept.left_out:,} more", words=words, key="left-out")
    if sub_task.ended_ns:
        yield _end(sub_task, kept)


def _befallen(happening: Happening, failed: int) -> Event:
    """`failed`: how many attempts have, up to this; 0 where that is not known."""
    said = happening_words(happening.kind)
    return Event(
        at_ns=happening.at_ns,
        title=f"{said.title}: {remedy(happening.code).means.lower()}" if happening.code else said.title,
        words=happening.message or said.words,
        tone=said.tone,
        shape=said.shape,
        code=happening.code,
        request_id=happening.request_id,
        attempt=failed if happening.kind in _FAILED else 0,
        times=happening.times,
        last_ns=happening.last_ns if happening.times > 1 else 0,
        due_ns=happening.due_ns or 0,
        key=f"{happening.kind}-{happening.at_ns}",
    )


def _is_end(happening: Happening, sub_task: SubTask) -> bool:
    """Its last happening, which its end tells in full."""
    return sub_task.status is SubTaskStatus.FAILED and happening.kind.value == "failed"


def _end(sub_task: SubTask, kept: InFull) -> Event:
    title, tone, shape = _ENDS[sub_task.status]
    last = next((each for each in reversed(kept.happenings) if _is_end(each, sub_task)), None)
    kept_target = sub_task.status is SubTaskStatus.COMPLETE and sub_task.bytes_total > 0 and not sub_task.actual_bytes
    words = sub_task.error_message or ("The target was kept, as the conflict policy asks." if kept_target else "")
    return Event(
        at_ns=sub_task.ended_ns or 0,
        title=f"{title}: {remedy(sub_task.error_code).means.lower()}" if sub_task.error_code else title,
        words=words,
        tone=tone,
        shape=shape,
        code=sub_task.error_code,
        request_id=last.request_id if last is not None else "",
        attempt=0 if kept.left_out else attempts(kept).number,
        key="ended",
    )
