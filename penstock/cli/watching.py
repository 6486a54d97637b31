"""The loop of `watch`: notices and scans find files, quiet ones are handed over, and what became of each is remembered.

A file is handed over with a token that its name, size, time, inode and tries decide, and with a condition on size and time. So
whatever is killed when, a content is exported once, and never one that was not complete when it was looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from penstock.cli.interrupts import Interrupts
from penstock.cli.items import Item
from penstock.cli.lanes import Way
from penstock.cli.memory import Kept, Memory, Stamp, State
from penstock.cli.notices import Notices
from penstock.cli.roots import MARK
from penstock.cli.settling import Settling
from penstock.cli.tally import Ending, Tally
from penstock.cli.telling import Teller
from penstock.client import FileRefusedError, Stream
from penstock.errors import ApiRefusedError, ApiUnreachableError, SubTaskGoneError

TURN_MAX = 500
WAIT_MAX_S = 0.5
LOOK_S = 0.2
AWAY_S = 5.0
TRY_AGAIN_S = 300.0
LAST_WAIT_S = 30.0
CHANGED = ("ConditionNotMet", "SourceChanged", "SourceNotFound")
"""Why a file was not exported that is to be looked at again: it is another one by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """`top` is the directory as this machine has it, `base` as the file system has it, `root` where that is mounted."""

    top: str
    base: str
    root: str
    rescan_s: float


class Watching:
    """One watch. `run` it once."""

    def __init__(
        self,
        options: WatchOptions,
        *,
        stream: Stream,
        way: Way,
        memory: Memory,
        notices: Notices,
        settling: Settling,
        teller: Teller,
        tally: Tally,
        interrupts: Interrupts,
    ) -> None:
        self._options = options
        self._stream = stream
        self._way = way
        self._memory = memory
        self._notices = notices
        self._settling = settling
        self._teller = teller
        self._interrupts = interrupts
        self._under_way: dict[str, tuple[str, Kept]] = {}
        self._latest: dict[str, str] = {}
        self._held_s = 0.0
        self._scan: Iterator[str] | None = None
        self._scan_s = 0.0
        self._looked_s = 0.0
        self._is_away = False
        self._was_marked = os.path.lexists(os.path.join(options.root, MARK))
        self.tally = tally

    def run(self) -> None:
        """Until a signal ends it; returns when what was handed over has ended, or a second signal came."""
        with contextlib.suppress(KeyboardInterrupt):
            while not self._interrupts.came:
                self._turn()
            self._teller.say(f"ending; {len(self._under_way)} files are under way, and go on by themselves")
            self._interrupts.answered()
            self._see_off()

    def _see_off(self) -> None:
        """Wait a while for what was handed over: what has ended is remembered, the rest is asked for by the next watch."""
        until_s = time.monotonic() + LAST_WAIT_S
        while self._under_way and not self._interrupts.came and time.monotonic() < until_s:
            try:
                self._look()
            except (ApiUnreachableError, ApiRefusedError) as error:
                self._teller.say(f"{error}; the next watch asks what became of them")
                return
            self._memory.commit()
            self._wait()

    # --------------------------------------------------------------------------------------------------------------- turn

    def _turn(self) -> None:
        try:
            self._find()
            self._hand_over()
            self._look()
        except ApiUnreachableError as error:
            self._teller.say(f"{error}; going on when it does")
        except ApiRefusedError as error:
            if error.code != "OperationDenied.InvalidState":
                raise
            self._teller.say(f"{error} Waiting until the stream takes files again")
            self._held_s = time.monotonic() + AWAY_S
        finally:
            self._memory.commit()
        self._wait()

    def _wait(self) -> None:
        """Until something is written, or something is due."""
        now_s = time.monotonic()
        due_s = 0.0 if self._scan is not None else min(self._settling.next_s(now_s), self._scan_s - now_s, WAIT_MAX_S)
        if self._under_way:
            due_s = min(due_s, LOOK_S)
        waiting = select.poll()
        if self._notices.fileno() >= 0:
            waiting.register(self._notices.fileno(), select.POLLIN)
        waiting.poll(max(0.01 if self._scan is None else 0.0, due_s) * 1000)

    # --------------------------------------------------------------------------------------------------------------- find

    def _find(self) -> None:
        for name in self._notices.read():
            self._consider(name, told=True)
        now_s = time.monotonic()
        lost = self._notices.overflowed or (self._settling.spilled and len(self._settling) == 0)
        if self._scan is None and self._notices.overflowed:
            self._teller.say("the kernel lost notices, because they were too many: looking at all files")
        if self._scan is None and (lost or now_s >= self._scan_s):
            self._notices.overflowed = self._settling.spilled = self._notices.missed = False
            self._scan = self._notices.walk() if self._is_there() else None
            self._scan_s = now_s + (self._options.rescan_s if self._scan is not None else AWAY_S)
        if self._scan is None:
            return
        try:
            found = list(islice(self._scan, TURN_MAX))
        except OSError as error:
            self._scan, self._scan_s = None, now_s + AWAY_S
            self._away(f"{self._options.top}: {error.strerror}")
            return
        for name in found:
            self._memory.see(name)
            self._consider(name, told=False)
        if len(found) < TURN_MAX:
            self._scan = None
            if not self._notices.missed:
                self._memory.end_walk()

    def _is_there(self) -> bool:
        """Whether the root is the one that it was: under a mount point whose file system is gone there is nothing to forget."""
        if self._was_marked and not os.path.lexists(os.path.join(self._options.root, MARK)):
            self._away(f"{self._options.root} is not what it was: nothing, or something else, is mounted there")
            return False
        if self._is_away:
            self._is_away = False
            self._teller.say("it is back")
        return True

    def _away(self, words: str) -> None:
        if not self._is_away:
            self._is_away = True
            self._teller.say(f"{words}; waiting until it is back")

    def _consider(self, name: str, *, told: bool) -> None:
        """Let it settle, unless this very content was exported, is under way, or failed a short while ago."""
        if not told and name in self._settling:
            return
        try:
            stamp = Stamp.of(os.lstat(os.path.join(self._options.top, name)))
        except OSError:
            return
        kept = self._memory.known(name)
        if kept is not None and kept.stamp == stamp:
            if kept.state is State.EXPORTED or name in self._latest:
                return
            if kept.state is State.FAILED and not told and time.time() < kept.at_s + TRY_AGAIN_S:
                return
        self._settling.add(name, stamp, time.monotonic())

    # ---------------------------------------------------------------------------------------------------------- hand over

    def _hand_over(self) -> None:
        if time.monotonic() < self._held_s:
            return
        room = self._stream.window.room
        for name, stamp in self._settling.ready(time.monotonic(), min(TURN_MAX, room)):
            kept = self._memory.known(name)
            tries = kept.tries if kept is not None and kept.stamp == stamp else 0
            now = Kept(stamp=stamp, state=State.HANDED_OVER, tries=tries)
            try:
                self._submit(name, now)
            except BaseException:
                self._settling.add(name, stamp, time.monotonic())  # the same token is answered the same
                raise

    def _submit(self, name: str, kept: Kept) -> None:
        file = self._way.file(Item(base=self._options.base, name=name))
        self.tally.find(kept.stamp.size_bytes)
        try:
            submission = self._stream.submit(
                file.source,
                size_bytes=kept.stamp.size_bytes,
                modify_time_ns=kept.stamp.modified_ns,
                client_token=self._token(file.source, kept),
            )
        except FileRefusedError as error:
            self._fail(name, kept)
            self._end(Ending(name=name, status="REFUSED", why=str(error)))
            return
        self._memory.keep(name, kept)
        self._under_way[submission.sub_task_id] = (name, kept)
        self._latest[name] = submission.sub_task_id

    def _fail(self, name: str, kept: Kept) -> None:
        """It is tried again when it has changed, or after a while."""
        self._memory.keep(name, replace(kept, state=State.FAILED, tries=kept.tries + 1, at_s=int(time.time())))

    def _token(self, source: str, kept: Kept) -> str:
        """What the service knows this content by, from this or any other watch."""
        facts, stamp = self._stream.facts, kept.stamp
        told = (facts.task_id, source, stamp.size_bytes, stamp.modified_ns, stamp.inode, kept.tries)
        return hashlib.sha256(os.fsencode("\0".join(map(str, told)))).hexdigest()[:48]

    # --------------------------------------------------------------------------------------------------------------- look

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._under_way and now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            with contextlib.suppress(SubTaskGoneError):  # it is not in the window any more, and comes again with a scan
                self._stream.look()
        while (done := self._stream.window.taken()) is not None:
            name, kept = self._under_way.pop(done.sub_task_id)
            is_latest = self._latest.get(name) == done.sub_task_id
            if is_latest:
                del self._latest[name]
            self._end(Ending.of(done))
            if is_latest and done.is_complete:
                self._memory.keep(name, replace(kept, state=State.EXPORTED))
            elif is_latest:
                self._fail(name, kept)
            if done.error.startswith(CHANGED):
                self._consider(name, told=False)

    def _end(self, ending: Ending) -> None:
        self.tally.end(ending)
        self._teller.ended(ending)
