"""How a state looks: a word, a colour and a shape, so that nobody depends on the colour. One table for every state there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """`tone` names the colours (`static/tokens.css`), `shape` a symbol of `static/shapes.svg`."""

    word: str
    tone: str
    shape: str


_QUIET, _WAITS, _MOVES, _GOOD, _WARNS, _BAD = "quiet", "waits", "moves", "good", "warns", "bad"

BADGES: Mapping[str, Badge] = {
    badge.word.upper(): badge
    for badge in (
        # dataflows
        Badge(word="Running", tone=_GOOD, shape="check"),
        Badge(word="Starting", tone=_MOVES, shape="play"),
        Badge(word="Updating", tone=_MOVES, shape="play"),
        Badge(word="Stopping", tone=_WARNS, shape="pause"),
        Badge(word="Stopped", tone=_QUIET, shape="pause"),
        Badge(word="Deleting", tone=_WARNS, shape="cross"),
        Badge(word="Misconfigured", tone=_BAD, shape="alert"),
        # tasks and sub-tasks
        Badge(word="Pending", tone=_WAITS, shape="clock"),
        Badge(word="Created", tone=_WAITS, shape="clock"),
        Badge(word="Executing", tone=_MOVES, shape="play"),
        Badge(word="Complete", tone=_GOOD, shape="check"),
        Badge(word="Completed", tone=_GOOD, shape="check"),
        Badge(word="Failed", tone=_BAD, shape="alert"),
        Badge(word="Canceling", tone=_WARNS, shape="cross"),
        Badge(word="Canceled", tone=_QUIET, shape="cross"),
        Badge(word="Expired", tone=_QUIET, shape="clock"),
        # health
        Badge(word="Healthy", tone=_GOOD, shape="check"),
        Badge(word="Slow", tone=_WARNS, shape="alert"),
        Badge(word="Away", tone=_BAD, shape="alert"),
        Badge(word="Unknown", tone=_QUIET, shape="dot"),
    )
}
RUNNING_WORK = Badge(word="Running", tone=_MOVES, shape="play")
"""A sub-task or task that runs moves bytes; a dataflow that runs is merely in order."""


def badge(state: str) -> Badge:
    """How this state looks. An unknown one is shown as it is."""
    if state == "RUNNING":
        return RUNNING_WORK
    return BADGES.get(state.upper(), Badge(word=state, tone=_QUIET, shape="dot"))
