"""The sections of the console, in the order of the navigation; `key` follows `g` on the keyboard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One entry. `name` is what a page's template says of itself; `action` is the right without which it shows nothing."""

    name: str
    words: str
    path: str
    key: str
    action: str


SECTIONS: tuple[Section, ...] = (
    Section(name="overview", words="Overview", path="/", key="o", action=""),
    Section(name="dataflows", words="Dataflows", path="/dataflows", key="d", action="DescribeDataFlows"),
    Section(name="tasks", words="Tasks", path="/tasks", key="t", action="DescribeDataFlowTasks"),
    Section(name="files", words="Files", path="/files", key="f", action="DescribeDataFlowSubTasks"),
    Section(name="requests", words="Requests", path="/requests", key="r", action=""),
    Section(name="learn", words="Learn", path="/learn", key="l", action=""),
)
STAND_IN = Section(name="stand-in", words="Stand-in", path="/stand-in", key="s", action="DescribeStandIn")
"""There in a stand-in alone."""
