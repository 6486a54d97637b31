"""The loop of one command that moves files: take some, hand them over, look what became of them, tell; until all have ended.

Memory is bounded by what may be under way, whatever the number of files. Files go on without the command: so a Ctrl-C asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from penstock.cli.failure import ExitCode
from penstock.cli.interrupts import Interrupts
from penstock.cli.items import Item, Unfit
from penstock.cli.lanes import Lanes
from penstock.cli.tally import Ending, Tally
from penstock.cli.telling import CsvSheet, Teller
from penstock.client import FileToMove, Refused, Stream, SubTask
from penstock.errors import ApiRefusedError, ApiUnreachableError, NotReadyError, SettingsError, SubTaskGoneError

READ_AT_ONCE = 500
LIVE = "CREATED,RUNNING,CANCELING"
QUESTION = "{count} files are under way: [l]eave them to the service, [c]ancel, [g]o on?"
LOOKS_S = (0.05, 0.1, 0.2, 0.4)


class Batch:
    """Files of one command. `run` it once."""

    def __init__(
        self, lanes: Lanes, teller: Teller, interrupts: Interrupts, *, sheet: CsvSheet | None, tally: Tally
    ) -> None:
        self._lanes = lanes
        self._teller = teller
        self._interrupts = interrupts
        self._sheet = sheet
        self._looks = 0
        self._is_over = False
        self.tally = tally

    def run(self, items: Iterable[Item | Unfit]) -> ExitCode:
        """Returns when all have ended, or nobody waits any more."""
        coming = iter(items)
        try:
            while True:
                ended = self.tally.ended
                self._feed(coming)
                under_way = self._look()
                if self.tally.all_found and not under_way:
                    if self._is_over:
                        return ExitCode.INTERRUPTED
                    return ExitCode.FAILED if self.tally.bad or not self.tally.found else ExitCode.DONE
                if self._interrupts.came and not self._go_on(under_way):
                    return ExitCode.INTERRUPTED
                self._rest(moved_on=self.tally.ended > ended)
        except KeyboardInterrupt:
            self._left()
            return ExitCode.INTERRUPTED
        except (ApiRefusedError, ApiUnreachableError, NotReadyError, SettingsError):
            self._left()
            raise

    # --------------------------------------------------------------------------------------------------------------- feed

    def _feed(self, coming: Iterator[Item | Unfit]) -> None:
        """Hand over what there is room for."""
        if self.tally.all_found:
            return
        room = min((stream.window.room for stream in self._lanes.streams), default=READ_AT_ONCE)
        wanted = min(READ_AT_ONCE, room)
        if wanted <= 0:
            return
        taken = list(islice(coming, wanted))
        by_stream: dict[str, tuple[Stream, list[FileToMove]]] = {}
        for each in taken:
            if isinstance(each, Unfit):
                self.tally.find(0)
                self._end(Ending(name=each.name, status=each.status, why=each.why))
                continue
            self.tally.find(each.size_bytes)
            try:
                way = self._lanes.way(each)
                stream = self._lanes.stream(way)
            except (SettingsError, NotReadyError) as error:
                self._end(Ending(name=each.path, status="UNFIT", why=str(error)))
                continue
            by_stream.setdefault(stream.facts.task_id, (stream, []))[1].append(way.file(each))
        for stream, files in by_stream.values():
            self._hand_over(stream, files)
        self.tally.all_found = len(taken) < wanted

    def _hand_over(self, stream: Stream, files: list[FileToMove]) -> None:
        for came in stream.submit_many(files):
            if isinstance(came, Refused):
                self._end(Ending(name=came.file.source, status="REFUSED", why=f"{came.code}: {came.message}"))

    # --------------------------------------------------------------------------------------------------------------- look

    def _look(self) -> int:
        """See what became of those under way, and tell; how many still are."""
        moving: list[SubTask] = []
        for stream in self._lanes.streams:
            if stream.window.under_way:
                try:
                    stream.look()
                except SubTaskGoneError as error:
                    self._end(Ending(name=str(error), status="GONE", why="its dataflow was deleted meanwhile"))
            while (done := stream.window.taken()) is not None:
                self._end(Ending.of(done))
            moving += [
                each.latest
                for each in stream.window.under_way.values()
                if each.latest is not None and (each.latest.bytes_done or each.latest.error)
            ]
        moving.sort(key=lambda seen: (-seen.bytes_total, seen.sub_task_id))
        done_bytes = self.tally.ended_bytes + sum(seen.bytes_done for seen in moving)
        total_bytes = self.tally.found_bytes if self.tally.sizes_known else None
        if self._sheet is not None:
            self._sheet.flush()
        self._teller.progress(self.tally, moving, done_bytes, total_bytes)
        return sum(len(stream.window.under_way) for stream in self._lanes.streams)

    def _end(self, ending: Ending) -> None:
        self.tally.end(ending)
        self._teller.ended(ending)
        if self._sheet is not None:
            self._sheet.add(ending)

    def _rest(self, *, moved_on: bool) -> None:
        self._looks = 0 if moved_on else self._looks + 1
        if not moved_on:
            self._interrupts.sleep(LOOKS_S[min(self._looks, len(LOOKS_S) - 1)])

    # ---------------------------------------------------------------------------------------------------------- interrupt

    def _go_on(self, under_way: int) -> bool:
        """What a person wants after Ctrl-C."""
        if self._is_over or self._interrupts.is_final:
            self._left()
            return False
        answer = self._teller.ask(QUESTION.format(count=under_way), "lcg")  # Ctrl-C meanwhile is the first answer
        self._interrupts.answered()
        if answer == "c":
            self._cancel()
        elif answer == "l":
            self._left()
            return False
        return True

    def _cancel(self) -> None:
        """Withdraw what is under way, and read no more. It is waited for, until another Ctrl-C."""
        self._is_over = True
        self.tally.all_found = True
        self._teller.say("cancelling; Ctrl-C again leaves at once")
        for stream in self._lanes.streams:
            stream.withdraw()

    def _left(self) -> None:
        """Where to look after what nobody waits for any more."""
        under_way = sum(len(stream.window.under_way) for stream in self._lanes.streams)
        doubtful = sum(stream.window.in_doubt for stream in self._lanes.streams)
        if not under_way and not doubtful:
            return
        doubt = f", and up to {doubtful} more, of which the service did not tell" if doubtful else ""
        self._teller.say(f"{under_way} files go on without this command{doubt}; what is left:")
        for stream in self._lanes.streams:
            if stream.window.under_way or stream.window.in_doubt:
                self._teller.say(f"  penstock subtask list --task {stream.facts.task_id} --status {LIVE}")
