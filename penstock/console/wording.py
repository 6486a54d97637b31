"""The words for what is seen: what limits the speed, why a file waits, what befell it. One table each.

Pure. Failure codes have their words in `advice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.catalog.live import Limit, Limiter
from penstock.catalog.views import HappeningKind, InFull, Line, Listed, Wait
from penstock.model import DataFlowStatus, Report, SubTaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A short title, a sentence, and how it looks (`tone` of the style sheet, `shape` of the symbols)."""

    title: str
    words: str
    tone: str = "quiet"
    shape: str = "dot"


LIMITS: Mapping[Limiter, Said] = {
    Limiter.NO_MOVER: Said(
        title="No mover is up",
        words="Nothing moves until a mover process has started; the service's log says why none does.",
        tone="bad",
        shape="alert",
    ),
    Limiter.CATALOG: Said(
        title="The catalog's disk",
        words="Files have arrived, and wait to be written down. A quicker disk below HOME would help.",
        tone="warns",
        shape="alert",
    ),
    Limiter.BUCKET_SILENT: Said(
        title="The bucket {about} does not answer",
        words="Its files wait, and go on by themselves once it answers: one of them looks every ten seconds.",
        tone="bad",
        shape="alert",
    ),
    Limiter.BUCKET_THROTTLES: Said(
        title="The bucket {about} asks to slow down",
        words="Requests are sent as fast as it takes them. Its limits are the store's to raise.",
        tone="warns",
        shape="alert",
    ),
    Limiter.FILE_SYSTEM_AWAY: Said(
        title="The file system {about} is away, read-only or full",
        words="Mount it again, or make room; its files go on by themselves within a minute or so.",
        tone="bad",
        shape="alert",
    ),
    Limiter.FILE_SYSTEM_SLOW: Said(
        title="The file system {about}",
        words="Movers wait for it to read and write: it is the slowest part now.",
        tone="warns",
        shape="clock",
    ),
    Limiter.THROUGHPUT: Said(
        title="What the dataflow {about} may move in a second",
        words="It moves as much as its Throughput or Bandwidth allows; ModifyDataFlow changes that at once.",
        tone="moves",
        shape="play",
    ),
    Limiter.PROCESSOR: Said(
        title="The processor",
        words="This machine has no idle processor left, whoever uses them.",
        tone="moves",
        shape="play",
    ),
    Limiter.BUCKET_SLOW: Said(
        title="How much the bucket {about} serves at once",
        words="Requests wait for a place among as many as it serves well; the number is found by trying.",
        tone="moves",
        shape="play",
    ),
    Limiter.SLOTS: Said(
        title="The movers' places",
        words="All places are taken, and more waits: mover_small_files, mover_large_files and movers set how many there are.",
        tone="moves",
        shape="play",
    ),
    Limiter.BANDWIDTH: Said(
        title="The network",
        words="Large files move, and more of them at once made it no faster.",
        tone="moves",
        shape="play",
    ),
    Limiter.STORE_TIME: Said(
        title="The time that a store takes for one file",
        words="Few files are under way, and each takes as long as its store. More at once would move more.",
        tone="moves",
        shape="play",
    ),
    Limiter.STOPPED: Said(
        title="Stopped dataflows",
        words="All that waits belongs to dataflows that are not Running: start them, or mend what they say.",
        tone="warns",
        shape="pause",
    ),
    Limiter.RETRIES: Said(
        title="The next try",
        words="All that is left has met trouble, and is tried again by itself: the list below says when and why.",
        tone="warns",
        shape="clock",
    ),
    Limiter.NOTHING_TO_DO: Said(
        title="Nothing: there is nothing to do",
        words="Everything that was asked for is done.",
        tone="good",
        shape="check",
    ),
}

_HAPPENINGS: Mapping[HappeningKind, Said] = {
    HappeningKind.FAILED_TRY: Said(title="A try failed", words="It is tried again.", tone="warns", shape="alert"),
    HappeningKind.WAITS: Said(
        title="It waits for its surroundings", words="This costs no attempt.", tone="waits", shape="clock"
    ),
    HappeningKind.RETURNED: Said(
        title="Handed back unfinished",
        words="It gave way, or the service stopped; it goes on where it was.",
        shape="pause",
    ),
    HappeningKind.RESCUED: Said(
        title="Taken over", words="The process that had it was gone without a word.", tone="warns", shape="play"
    ),
    HappeningKind.CANCEL_ASKED: Said(title="Cancel asked for", words="It is being withdrawn.", shape="cross"),
    HappeningKind.FAILED: Said(title="Failed for good", words="It is not tried again.", tone="bad", shape="alert"),
    HappeningKind.TIDY_LATER: Said(
        title="Something of it could not be removed yet", words="It is looked for again.", tone="warns", shape="clock"
    ),
}


_REPORTS: Mapping[Report, str] = {
    Report.SUCCESS: "What moved",
    Report.SKIPPED: "What was skipped",
    Report.FAILED: "What failed, and why",
    Report.DIFFERENCES: "What differs",
    Report.SUMMARY: "The counts",
}


def limit_words(limit: Limit) -> Said:
    """What limits the speed right now."""
    said = LIMITS[limit.limiter]
    about = limit.about or "…"
    return Said(title=said.title.format(about=about), words=said.words, tone=said.tone, shape=said.shape)


def happening_words(kind: HappeningKind) -> Said:
    """What befell a sub-task."""
    return _HAPPENINGS[kind]


def report_words(report: Report) -> str:
    """What stands in a report of a batch."""
    return _REPORTS[report]


def wait_words(listed: Listed) -> str:
    """Why a sub-task of a list does not move, in a few words; "" where it moves or is final."""
    match listed.wait:
        case Wait.IN_LINE:
            return f"waits for its turn{_in_line(listed.line)}"
        case Wait.LARGE_LINE:
            return f"waits for a place among the large files{_in_line(listed.line)}"
        case Wait.BEHIND:
            before = "" if listed.line is None or listed.line.before < 2 else f" ({listed.line.before:,} are before it)"
            return f"waits for another file that writes the same target{before}"
        case Wait.AGAIN:
            return "is tried again"
        case Wait.FLOW:
            return "its dataflow is not Running"
        case Wait.TASK:
            return "its task takes no work yet"
        case Wait.CLEAR if listed.sub_task.status is SubTaskStatus.CANCELING:
            return "is to be withdrawn"
        case _:
            return ""


def _in_line(line: Line | None) -> str:
    """A row's place among those of its task."""
    if line is None:
        return ""
    if line.is_more:
        return f": more than {line.before:,} of its task are before it"
    return f": {line.before:,} of its task before it" if line.before else ": the next of its task"


def wait_in_full(kept: InFull) -> Said | None:
    """Why one sub-task waits, and its place in line; None where it does not wait."""
    line = kept.line
    match line.wait:
        case Wait.IN_LINE:
            return Said(title="Waits for its turn", words=_place(kept), tone="waits", shape="clock")
        case Wait.LARGE_LINE:
            words = f"As many large files move as may at once. {_place(kept)}"
            return Said(title="Waits for a place among the large files", words=words, tone="waits", shape="clock")
        case Wait.BEHIND:
            words = "Two files never write one target at the same time: the older one goes first."
            return Said(
                title="Waits for another file that writes the same target", words=words, tone="waits", shape="clock"
            )
        case Wait.FLOW:
            return _flow_words(kept)
        case Wait.TASK:
            words = f"The task is {kept.task.status.value}; sub-tasks start while it is Executing."
            return Said(title="Waits for its task", words=words, tone="waits", shape="pause")
        case Wait.CLEAR if kept.listed.sub_task.status is SubTaskStatus.CANCELING:
            words = "What it may have left behind is removed first; then it is CANCELED."
            return Said(title="Is being withdrawn", words=words, tone="warns", shape="cross")
        case _:
            return None


def _place(kept: InFull) -> str:
    line = kept.line
    if line.before == 0:
        return "It is the next one of its task."
    more = " or more" if line.is_more else ""
    if line.wait is Wait.LARGE_LINE:
        return f"{line.before:,}{more} of its task are before it. Tasks take turns."
    return f"{line.before:,}{more} of its task are before it; {line.of:,} wait in all. Tasks take turns."


def _flow_words(kept: InFull) -> Said:
    status = kept.flow.status
    if status is DataFlowStatus.MISCONFIGURED:
        words = (
            f"The dataflow is Misconfigured ({kept.flow.error_message}): its bucket, or the bucket's tag "
            "cpfs-dataflow=true, is gone. Put it back; the dataflow returns to Running by itself."
        )
        return Said(title="Needs you: the dataflow is Misconfigured", words=words, tone="bad", shape="alert")
    words = f"The dataflow is {status.value}. Start it, and the file goes on."
    return Said(title="Needs you: its dataflow is not Running", words=words, tone="warns", shape="pause")


def flow_trouble(told: str) -> str:
    """What the API says of a dataflow's state, in words where it says one word."""
    if told != "ThroughputTooLow":
        return told
    return (
        "ThroughputTooLow: a look of auto-refresh was left out, as the one before it, or what that one found, was not over. "
        "Lengthen the interval, or refresh fewer directories."
    )
