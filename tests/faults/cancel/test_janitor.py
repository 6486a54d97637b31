"""After crashes: what our own records started is removed or finished, and what is somebody else's stays as it was.

PENSTOCK_CANCEL_SEED=7 PENSTOCK_CANCEL_CRASHES=5 make test PYTEST_ARGS="tests/faults/cancel/test_janitor.py -s"
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from penstock.stores.base import Part
from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import LIVE, PART_BYTES, File, Tide, dealt
from tests.fixtures.chance import seed_of
from tests.fixtures.chaosfaults import ANY, LATE
from tests.fixtures.chaosproxy import Asked, Dice, Fault, Rule, Talk, honest
from tests.fixtures.waiting import wait_until

SEED = seed_of("CANCEL")
CRASHES = int(os.environ.get("PENSTOCK_CANCEL_CRASHES", "1"))
LARGE, SMALL = 10, 10
PATIENCE_S = 60.0
MANY = 1 << 30


@dataclass(slots=True)
class Strangers:
    """What others have put beside our files: names that look like ours, uploads on our keys, objects."""

    tide: Tide
    files: dict[Path, tuple[int, bytes]]
    uploads: dict[tuple[str, str], list[Part]]
    objects: dict[str, str]

    @classmethod
    def come(cls, tide: Tide, dice: random.Random) -> Strangers:
        made = cls(tide, {}, {}, {})
        for directory in (tide.root, tide.root / "in", tide.root / "out"):
            for kind in ("partial", "journal", "partial.old"):
                path = directory / f".penstock-{dice.randbytes(8).hex()}.{kind}"
                path.write_bytes(dice.randbytes(100))
                made.files[path] = (path.stat().st_ino, path.read_bytes())
        for key in ("in/stranger", "out/stranger"):
            made.objects[key] = tide.put(key, b"a stranger's")
        return made

    def upload(self, key: str, *, parts: int) -> None:
        """Begin one on that key."""
        upload_id = self.tide.truth.initiate(key, metadata={})
        self.tide.foreign.add(upload_id)
        self.uploads[key, upload_id] = [
            self.tide.truth.put_part(key, upload_id, number, [b"theirs"], crc64=None) for number in range(1, parts + 1)
        ]

    def judge(self) -> None:
        """All of it is as it was."""
        for path, (inode, content) in self.files.items():
            assert (path.stat().st_ino, path.read_bytes()) == (inode, content), path
        for (key, upload_id), parts in self.uploads.items():
            assert [part.etag for part in self.tide.truth.list_parts(key, upload_id)] == [part.etag for part in parts]
        for key, etag in self.objects.items():
            assert self.tide.truth.head(key).etag == etag, key


@contextmanager
def stopped_halfway(tide: Tide, files: list[File]) -> Iterator[None]:
    """These are under way by another service; their third parts are answered when this is left.

    All others are answered at once: held, too, those of whichever file begins first could take both places of their mover, and
    the other file, where it has the same one, would never come to its third.
    """
    go_on = threading.Event()
    stopped = set[str]()

    def hold(talk: Talk) -> None:
        if is_third_part(talk.asked):
            _ = talk.body
            stopped.add(talk.asked.key)
            go_on.wait()
        honest(talk)

    held = Fault(name="held", act=hold, kinds=ANY)
    tide.proxy.script(*(Rule(kind=kind, fault=held, times=MANY) for kind in ("range", "put_part")))
    try:
        tide.submit(files)
        wait_until(lambda: stopped == {file.name for file in files}, PATIENCE_S, "they do not come so far")
        yield
    finally:
        go_on.set()


@pytest.mark.seeded
def test_crashes_leave_nothing_of_ours_and_touch_nothing_else(open_tide: Opener) -> None:
    dice = random.Random(SEED)
    print(f"PENSTOCK_CANCEL_SEED={SEED}")
    tide = open_tide(versioning="Enabled")
    other = open_tide(beside=tide)
    requests = LARGE * 9 + SMALL
    files = dealt(dice, large=LARGE, small=SMALL, requests=requests)
    tide.lay(files)
    strangers = Strangers.come(tide, dice)
    exports = [file for file in files if not file.is_import]
    for file in dice.sample(exports, 4):
        strangers.upload(file.name, parts=dice.randrange(3))
    theirs = [
        File(name=f"{way}/theirs", is_import=way == "in", content=dice.randbytes(6 * PART_BYTES), has_old=False)
        for way in ("in", "out")
    ]
    other.lay(theirs)
    with stopped_halfway(other, theirs):
        their_helpers = set(tide.helpers()) - {path.name for path in strangers.files}
        tide.foreign |= {upload.upload_id for upload in tide.truth.list_uploads(prefix="out/theirs")}
        assert (len(their_helpers), len(tide.foreign)) == (2, 5)
        tide.proxy.dice(Dice(seed=SEED, chance=1.0, faults=LATE, nth_max=MANY))
        tide.submit(files)
        canceled: list[File] = []
        for _ in range(CRASHES):
            moved(tide, at_least=tide.proxy.requests + dice.randrange(1, requests // 2))
            for file in dice.sample(exports, 2):
                strangers.upload(file.name, parts=1)
            canceled += [file for file in dice.sample(files, 4) if tide.cancel(file)]
            tide.service.kill()
            tide.start()
        canceled += [file for file in files if file.cancel_at is not None and tide.cancel(file)]
        wait_until(lambda: is_over(tide), PATIENCE_S, "not all have ended")
        ended = tide.items()
        for file in files:
            status = ended[file.sub_task_id]["Status"]
            assert status == "COMPLETE" or file in canceled, ended[file.sub_task_id]
            tide.judge(file, status)
        known = {path.name for path in strangers.files} | their_helpers
        wait_until(lambda: set(tide.helpers()) == known, PATIENCE_S, "helpers are left, or strangers' are gone")
        assert tide.uploads() == []
        strangers.judge()
        print(f"{len(canceled)} canceled, {[ended[file.sub_task_id]['Status'] for file in canceled]}")
    wait_until(lambda: is_over(other), PATIENCE_S, "the other service has not finished")
    for file in theirs:
        other.judge(file, other.status(file)["Status"])
        assert other.status(file)["Status"] == "COMPLETE"
    strangers.judge()


def is_third_part(asked: Asked) -> bool:
    """Of an import or of an export."""
    number = parse_qs(urlsplit(asked.target).query).get("partNumber")
    return number == ["3"] or asked.headers.get("range", "").startswith(f"bytes={2 * PART_BYTES}-")


def moved(tide: Tide, *, at_least: int) -> None:
    """Wait until so many requests have come, or no more will."""
    wait_until(lambda: tide.proxy.requests >= at_least or is_over(tide), PATIENCE_S, "it does not move")


def is_over(tide: Tide) -> bool:
    """Whether nothing of it is under way."""
    return not any(tide.items(Status=status) for status in LIVE)
