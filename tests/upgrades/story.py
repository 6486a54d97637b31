"""What an old HOME has lived through, and which bytes its files have: the same for whoever makes one and whoever judges it.

Contents come from seeds and repeat themselves within each MiB, so that hundreds of megabytes are packed into a few kilobytes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fixtures.site import Site, Stream

MIB = 1 << 20
LARGE_BYTES = 96 * MIB + 1
WAITING_COUNT = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the maker wrote beside the HOME, for whoever judges it: ids of the tasks, and where HOME was. Versions before 0014
    had no batches."""

    made_by: str
    home: str
    flow: str
    finished: str
    failed: str
    waiting_flow: str
    waiting: str
    importing: str
    exporting: str
    batch: str = ""
    batching: str = ""


def task_of(site: Site, batch: Stream) -> Mapping[str, Any]:
    """A batch as it is told, with links to its reports."""
    asked = {"Filters": [{"Key": "TaskIds", "Value": batch.task_id}], "WithReports": True}
    (task,) = site.call("DescribeDataFlowTasks", **asked)["TaskInfo"]["Task"]
    return dict(task)


def content(name: str) -> bytes:
    """The bytes of the file of that name."""
    source = random.Random(name)
    if name.startswith("large"):
        whole = b"".join(source.randbytes(64) * (MIB // 64) for _ in range(LARGE_BYTES // MIB + 1))
        return whole[:LARGE_BYTES]
    if name.startswith("empty"):
        return b""
    return source.randbytes(16) * source.randrange(1, 400)


STORY_FILE = "story.json"
FINISHED = ("small.bin", "nested/deeper/smäll.bin", "検査/点検.ckpt", "empty.bin")
ABSENT = ("not-there.bin", "nested/nor-this.bin")
WAITING = tuple(f"waiting/{number:02}.bin" for number in range(WAITING_COUNT))
BATCH = tuple(f"batch/{number}.bin" for number in range(5))
BATCHING = tuple(f"batching/{number:02}.bin" for number in range(WAITING_COUNT))
LARGE_IN = "large-in.ckpt"
LARGE_OUT = ("large-out.ckpt", "large-out-2.ckpt")
