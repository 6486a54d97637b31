"""What a visitor may look at: the file systems that are registered and in the scope of their key."""

from __future__ import annotations

from penstock.console.viewer import Viewer

READ_FILES = "DescribeDataFlowSubTasks"
READ_TASKS = "DescribeDataFlowTasks"


def file_systems_of(viewer: Viewer, action: str) -> tuple[str, ...]:
    """The ids of those on which they may do this."""
    registered = sorted(viewer.reach.registry().file_systems)
    return tuple(each for each in registered if viewer.sees(each) and viewer.may(action, each))
