"""Cancels while much is under way: is each heard within two seconds, and is nothing left behind when it says so?

PENSTOCK_CANCEL_SEED=7 PENSTOCK_CANCEL_FILES=2000 make test PYTEST_ARGS="tests/faults/cancel/test_under_load.py -s"
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

import pytest

from penstock.model import BucketKind
from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import LIVE, File, Site, Tide, dealt, quantiles
from tests.fixtures.ceph import CephServer
from tests.fixtures.chance import seed_of
from tests.fixtures.chaosfaults import LATE
from tests.fixtures.chaosproxy import Dice
from tests.fixtures.stopwatch import Stopwatch, stood_still_s
from tests.fixtures.waiting import wait_until

SEED = seed_of("CANCEL")
FILES = int(os.environ.get("PENSTOCK_CANCEL_FILES", "240"))
LARGE = max(24, FILES // 10)
HEARD_S = 2.0
BUSY_S = 6.0  # more for the few that a machine keeps waiting which others use, too; not for one in four
LULL_S = 1.0
CALL_LOOK_S = 0.002
PATIENCE_S = 60.0 + FILES / 10


class Watch:
    """Cancels each file when its moment has come, by a thread of its own, and looks at once at whatever has become final."""

    def __init__(self, tide: Tide, files: Sequence[File]) -> None:
        self._tide = tide
        self._due = sorted((file for file in files if file.cancel_at is not None), key=lambda file: file.cancel_at or 0)
        self._called: Queue[File] = Queue()
        self._waiting: dict[str, File] = {}
        self._calling = threading.Thread(target=self._call, daemon=True)
        self.slowest_call_s = 0.0
        self.too_late: list[File] = []
        self.heard: list[File] = []

    def start(self) -> None:
        """Begin to cancel."""
        self._calling.start()

    def _call(self) -> None:
        lull, seen, seen_s = threading.Event(), 0, time.monotonic()
        with self._tide.client() as client:
            for file in self._due:
                while (requests := self._tide.proxy.requests) < (file.cancel_at or 0):
                    if requests != seen:
                        seen, seen_s = requests, time.monotonic()
                    elif time.monotonic() - seen_s > LULL_S:
                        break  # nothing moves any more: all that is left is due
                    lull.wait(CALL_LOOK_S)
                if self._tide.cancel(file, client):
                    self._called.put(file)
                else:
                    self.too_late.append(file)

    def step(self) -> bool:
        """Look at all that was called before; whether all is done."""
        is_last = not self._calling.is_alive()
        while not self._called.empty():
            file = self._called.get()
            self._waiting[file.sub_task_id] = file
        if not self._waiting:
            return is_last
        watch = Stopwatch()
        canceling = self._tide.items(Status="CANCELING")
        now_s = time.monotonic()
        self.slowest_call_s = max(self.slowest_call_s, watch.took_s())
        for sub_task_id in self._waiting.keys() - canceling.keys():
            file = self._waiting.pop(sub_task_id)
            file.took_s = now_s - file.called_s - stood_still_s(file.called_s, now_s)
            file.status = str(self._tide.status(file)["Status"])
            self._tide.judge(file, file.status)
            self.heard.append(file)
        return is_last and not self._waiting


@pytest.mark.seeded
def test_cancels_under_load_are_heard_soon_and_tell_the_truth(open_tide: Opener) -> None:
    dice = random.Random(SEED)
    print(f"PENSTOCK_CANCEL_SEED={SEED} PENSTOCK_CANCEL_FILES={FILES}")
    tide = open_tide(versioning=dice.choice(["", "Enabled"]))
    requests = LARGE * 9 + FILES
    carry(tide, dealt(dice, large=LARGE, small=FILES - LARGE, requests=requests))


@pytest.mark.seeded
@pytest.mark.ceph
@pytest.mark.xdist_group("ceph")
def test_cancels_on_ceph_are_heard_soon_and_tell_the_truth(tmp_path: Path, ceph: CephServer) -> None:
    """Parts have 5 MiB there, and uploads other words: NoSuchKey for one that is gone, names encoded otherwise."""
    dice = random.Random(SEED)
    print(f"PENSTOCK_CANCEL_SEED={SEED}")
    files = dealt(dice, large=10, small=30, requests=70, large_bytes=(1 << 20, 11 << 20))
    site = Site(
        name=ceph.make_bucket(versioning=dice.choice(["", "Enabled"])),
        kind=BucketKind.S3,
        endpoint=ceph.endpoint,
        region=ceph.region,
        credentials=ceph.credentials,
    )
    with ExitStack() as opened:
        carry(Tide(tmp_path / "home", site, opened), files)


def carry(tide: Tide, files: Sequence[File]) -> None:
    """All of them on their way at once, a third canceled meanwhile, and all that can be said of it."""
    tide.lay(files)
    tide.proxy.dice(Dice(seed=SEED, chance=1.0, faults=LATE, nth_max=1 << 30))
    watch = Watch(tide, files)
    tide.submit(files)
    watch.start()
    wait_until(watch.step, PATIENCE_S, "some were not heard")

    took = quantiles([file.took_s or 0.0 for file in watch.heard])
    ends = Counter(("large" if "large" in file.name else "small", file.is_import, file.status) for file in watch.heard)
    print(
        f"{len(watch.heard)} cancels {took}, {len(watch.too_late)} too late, a look took {watch.slowest_call_s:.3f} s at most"
    )
    print(
        "\n".join(
            f"{size} {'import' if is_import else 'export'} {status}: {count}"
            for (size, is_import, status), count in sorted(ends.items())
        )
    )
    assert Counter(file.status for file in watch.heard)["CANCELED"] > len(watch.heard) // 3, "they came too late"

    wait_until(lambda: not any(tide.items(Status=status) for status in LIVE), PATIENCE_S, "not all have ended")
    ended = tide.items()
    for file in files:
        status = ended[file.sub_task_id]["Status"]
        assert file.status in {"", status}, f"{file.name} was {file.status} and is {status}"
        assert status == "COMPLETE" or file in watch.heard, ended[file.sub_task_id]
        tide.judge(file, status)
    wait_until(lambda: not tide.helpers(), PATIENCE_S, "helpers are left")
    assert tide.uploads() == []
    heard_s = HEARD_S + watch.slowest_call_s
    assert took["p75"] <= heard_s
    late = [(file.name, file.took_s) for file in watch.heard if (file.took_s or 0.0) > heard_s + BUSY_S]
    assert late == []
