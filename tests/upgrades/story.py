"""What an old HOME has lived through, and which bytes its files have: the same for whoever makes one and whoever judges it.

Contents come from seeds and repeat themselves within each MiB, so that hundreds of megabytes are packed into a few kilobytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

MIB = 1 << 20
LARGE_BYTES = 96 * MIB + 1
WAITING_COUNT = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the maker wrote beside the HOME, for whoever judges it: ids of the tasks, and where HOME was."""

    made_by: str
    home: str
    flow: str
    finished: str
    failed: str
    waiting_flow: str
    waiting: str
    importing: str
    exporting: str


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
LARGE_IN = "large-in.ckpt"
LARGE_OUT = ("large-out.ckpt", "large-out-2.ckpt")
