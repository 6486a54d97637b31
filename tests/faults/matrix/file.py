"""One file of a trial: its bytes, where it comes from and goes to, its sub-task, and what is left of it."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from penstock.errors import ApiRefusedError
from penstock.model import ConflictPolicy
from penstock.transfer.mtime import metadata_of
from tests.faults.matrix.cases import OVER_ITS_EQUAL, Fate, Size, Terms, Way
from tests.faults.matrix.countedemulator import Request
from tests.faults.matrix.smallservice import LARGE_BYTES, MIDDLING_BYTES, SMALL_BYTES
from tests.faults.matrix.world import PATIENCE_S, World
from tests.fixtures.waiting import wait_until

FINAL = frozenset({"COMPLETE", "FAILED", "CANCELED", "EXPIRED"})
HELPERS = ".penstock-????????????????.*"  # the mark of the root has another name
TURNED = ("run41", "run42")
OLDER = b"what was there before"
THEIRS = b"what somebody else has put there"
OLDER_NS = 1_500_000_000_000_000_000
_numbers = itertools.count(1)


class File:
    """On its way by `way` under `terms`. All that waits starts the service again whenever it was killed."""

    def __init__(self, world: World, way: Way, terms: Terms) -> None:
        self.world = world
        self.way = way
        self.terms = terms
        self.name = f"f{next(_numbers)}"
        self.body = random.Random(self.name).randbytes(_size_of(way))
        action = "StreamImport" if way.is_import else "StreamExport"
        self.key = f"{action}/{self.name}/deep/file"
        self.path = world.ground(terms.bucket) / self.name / "deep" / "file"
        self.target = f"/{self.name}/deep/file"
        self._flow = world.flow(action, terms.policy, terms.bucket)
        self._sub_task = ""
        self.inode = 0
        self._foreign_bytes = 0
        self.other = File(world, Way.IMPORT_SMALL, terms) if way.fate is Fate.BESIDE else None

    @property
    def has_older(self) -> bool:
        """Whether another file stands at the target before."""
        return self.terms.policy is ConflictPolicy.KEEP_LATEST and self.way.fate is Fate.MOVED

    @property
    def is_kept(self) -> bool:
        """Whether the policy asks that what stands at the target before stays."""
        return self.way.fate is Fate.EQUAL and self.terms.policy is not ConflictPolicy.OVERWRITE_EXISTING

    def make(self) -> None:
        """The source, and what stands at the target before."""
        if self.way.fate in OVER_ITS_EQUAL:
            self._make_equal()
            return
        if self.way.is_import:
            self.put(self.body)
            self._link()
        else:
            self.path.parent.mkdir(parents=True)
            self.path.write_bytes(self.body)
        if not self.has_older:
            return
        if self.way.is_import:
            self.path.parent.mkdir(parents=True)
            self.path.write_bytes(OLDER)
            os.utime(self.path, ns=(OLDER_NS, OLDER_NS))
        else:
            self.put(OLDER, metadata_of(OLDER_NS))

    def _link(self) -> None:
        """What is turned leads to a directory beside another one."""
        if self.way.fate is Fate.TURNED:
            for name in TURNED:
                (self.path.parent.parent / name).mkdir(parents=True)
            self.path.parent.symlink_to(TURNED[0])

    def turn(self) -> None:
        """Its path leads to the other directory, and is there at each moment."""
        link = self.path.parent
        made = link.with_name("made")
        made.symlink_to(TURNED[1])
        made.rename(link)

    def _make_equal(self) -> None:
        """Source and target, of the same bytes and the same time."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(self.body)
        os.utime(self.path, ns=(OLDER_NS, OLDER_NS))
        self.put(self.body, metadata_of(OLDER_NS))
        self.inode = self.path.stat().st_ino

    def put(self, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Put an object at its key, past Penstock."""
        self._foreign_bytes += 0 if self.way.is_import else len(body)
        self.world.put(self.key, body, bucket=self.terms.bucket, metadata=metadata)

    def versions(self) -> list[int]:
        """The crc64 of every version at its key, newest first."""
        return self.world.versions(self.key, bucket=self.terms.bucket)

    def remove_source(self) -> None:
        """Take it away, as somebody does who believes that it is not needed any more."""
        if self.way.is_import:
            self.world.delete(self.key, bucket=self.terms.bucket)
        else:
            self.path.unlink()

    def remove_target(self) -> None:
        """Take it away, as somebody does who waited for it."""
        if self.way.is_import:
            self.path.unlink()
        else:
            self.world.delete(self.key, bucket=self.terms.bucket)

    def replace_target(self) -> None:
        """Write to it, as somebody does who uses the name for something else."""
        if self.way.is_import:
            self.path.unlink()
            self.path.write_bytes(THEIRS)
        else:
            self.put(THEIRS)

    def submit(self) -> None:
        """Ask for it."""
        refused = {"Condition": {"Size": len(self.body) + 1}} if self.way.fate is Fate.REFUSED else {}
        answer = self.world.ask(
            "CreateDataFlowSubTask",
            **self._flow,
            SrcFilePath=self.target,
            DstFilePath=self.target,
            ClientToken=self.name,
            **refused,
        )
        self._sub_task = answer["DataFlowSubTaskId"]

    def cancel(self) -> None:
        """Cancel it."""
        try:
            self.world.ask("CancelDataFlowSubTask", **self._flow, DataFlowSubTaskId=self._sub_task)
        except ApiRefusedError as error:  # asked a second time, because the service died of the first
            if error.code != "OperationDenied.InvalidState":
                raise

    def described(self) -> Mapping[str, Any]:
        """What the API answers about it."""
        wanted = [{"Key": "DataFlowSubTaskIds", "Value": self._sub_task}]
        answer = self.world.ask("DescribeDataFlowSubTasks", Filters=wanted)
        (item,) = answer["DataFlowSubTask"]["DataFlowSubTask"]
        return dict(item)

    def has_settled(self) -> bool:
        """Whether it has ended."""
        return self.described()["Status"] in FINAL

    def final(self) -> str:
        """Its last status, once it has ended."""
        self.wait(self.has_settled, "the file did not end")
        return str(self.described()["Status"])

    def wait(self, look: Callable[[], bool], otherwise: str, *, patience_s: float = PATIENCE_S) -> None:
        """Look again and again, and start the service again whenever it is killed."""
        wait_until(lambda: not self.world.revive() and look(), patience_s, otherwise)

    def left_behind(self) -> list[str]:
        """Partial files, journals and unfinished uploads, of whatever file."""
        ours = [str(path) for pattern in (HELPERS, "kept-by-*") for path in self.world.root.rglob(pattern)]
        return ours + self.world.uploads()

    def forget(self) -> None:
        """Nobody asks about it any more: take its directory away, so that those after it are found as quickly."""
        shutil.rmtree(self.world.ground(self.terms.bucket) / self.name, ignore_errors=True)
        if self.other is not None:
            self.other.forget()

    def was_refused(self) -> bool:
        """Whether somebody who asked for it met a bar."""
        return any(one.refused for one in self._requests())

    def _requests(self) -> list[Request]:
        path = f"/{self.terms.bucket}/{self.key}"
        return [one for one in self.world.requests() if one.path == path]

    def moved_bytes(self) -> int:
        """Bytes of this very file that went over the network, in parts where it is large."""
        mine = [one for one in self._requests() if one.method != "POST" and not one.refused]
        mine = [one for one in mine if self.way.is_whole or one.part]
        moved_bytes = sum(one.sent_bytes if self.way.is_import else one.received_bytes for one in mine)
        return moved_bytes - (self._foreign_bytes if self.way.is_whole else 0)


def _size_of(way: Way) -> int:
    match way.size:
        case Size.SMALL:
            return SMALL_BYTES
        case Size.MIDDLING if way.fate is Fate.MOVED:
            return MIDDLING_BYTES
        case Size.MIDDLING:
            return MIDDLING_BYTES - 1  # through the page cache
        case Size.LARGE:
            return LARGE_BYTES
