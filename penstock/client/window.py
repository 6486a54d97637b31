"""The files of one stream that are under way and that nobody has taken yet: at most so many, so nothing grows with their number.

Steps only (`steps`). A look costs a call for a hundred files, or one for ten of those that lag behind. One look at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from penstock.client.bulk import (
    NOT_TEXT,
    Created,
    FileToMove,
    StreamIds,
    bulk_call,
    bulk_results,
    is_text,
    one_file_call,
)
from penstock.client.signing import Call
from penstock.client.steps import (
    IDS_MAX,
    LOOKS_S,
    PAGE_MAX,
    THROTTLING,
    Answer,
    Ground,
    Pause,
    Steps,
    listed,
    page,
    patiently,
    rest,
)
from penstock.client.values import Refused, StreamFacts, SubTask
from penstock.errors import ApiRefusedError, FileRefusedError, NotMovedError, SubTaskGoneError

IN_FLIGHT_MAX = 4096
BY_ID_MAX = 4 * IDS_MAX
LAGGARDS_MAX = 10 * IDS_MAX
FAILURES_SHOWN = 20
NO_BULK_DOOR = "InvalidApi.NotFound"
OF_ONE_FILE = ("IllegalCharacters", "InvalidParameter.", "MissingSrcFilePath", "MissingDstFilePath")


class Moving:
    """A file that was accepted. `latest` is what was last seen of it."""

    __slots__ = ("file", "latest", "sub_task_id")

    def __init__(self, sub_task_id: str, file: FileToMove) -> None:
        self.sub_task_id = sub_task_id
        self.file = file
        self.latest: SubTask | None = None

    @property
    def ended(self) -> SubTask | None:
        """What became of it; None while it is under way."""
        return self.latest if self.latest is not None and self.latest.is_final else None


class Window:
    """`under_way` are those that are not final, by id; `ended` are those that are, and were not taken yet.

    `in_doubt` counts files of a call whose answer did not come: so many more may have been accepted.
    """

    def __init__(self, ground: Ground, stream: StreamFacts, *, in_flight_max: int) -> None:
        self._ground = ground
        self._stream = stream
        self.ids = StreamIds(file_system_id=ground.file_system_id, data_flow_id=stream.flow_id, task_id=stream.task_id)
        self.most = in_flight_max
        self.under_way: dict[str, Moving] = {}
        self.ended: OrderedDict[str, Moving] = OrderedDict()
        self.takers = 0
        self.in_doubt = 0
        self.looked_s = 0.0
        self._turn = 0
        self._promised = 0
        self._looking = False
        self._by_bulk = True

    @property
    def room(self) -> int:
        """How many files more there may be; negative where a taker is slow."""
        return self.most - self._promised - len(self.under_way) - len(self.ended)

    # ------------------------------------------------------------------------------------------------------------- submit

    def hand_over(
        self, files: Sequence[FileToMove], *, client_token: str | None = None
    ) -> Steps[Sequence[Moving | Refused]]:
        """As `submit`, once there is room."""
        yield from self.make_room(len(files))
        self._promised += len(files)
        try:
            return (yield from self.submit(files, client_token=client_token))
        finally:
            self._promised -= len(files)

    def submit(
        self, files: Sequence[FileToMove], *, client_token: str | None = None
    ) -> Steps[Sequence[Moving | Refused]]:
        """Hand over files, at most one of `bulk_pages` and at most as many as there is room for; what became of each, in order.

        Those for which the service has no place now are waited for. Raises ApiRefusedError where all are refused.
        """
        came: list[Moving | Refused | None] = [
            None if is_text(file.source) and is_text(file.target) else _not_text(file) for file in files
        ]
        places = [place for place, one in enumerate(came) if one is None]
        token = client_token or self._ground.token()
        while places:
            created = yield from self._send([files[place] for place in places], token)
            for place, one in zip(places, created, strict=True):
                came[place] = self._noted(files[place], one)
            places = [place for place in places if came[place] is None]
            if places:
                self._ground.on_wait("as many sub-tasks wait as may wait; going on when there are places again")
                yield Pause(seconds=1.0)
                token = self._ground.token()  # these were refused: what is asked now is another call
        return [one for one in came if one is not None]

    def _noted(self, file: FileToMove, created: Created) -> Moving | Refused | None:
        """None for a file that found no place."""
        if created.sub_task_id:
            moving = Moving(created.sub_task_id, file)
            self.under_way[created.sub_task_id] = moving
            return moving
        if created.code.startswith(THROTTLING):
            return None
        return Refused(file=file, code=created.code, message=created.message)

    def _send(self, files: Sequence[FileToMove], token: str) -> Steps[Sequence[Created]]:
        """By the bulk door; where the service has none (strict fidelity), file by file."""
        if self._by_bulk:
            try:
                call = bulk_call(files, stream=self.ids, client_token=token)
                answer = yield from self._asked(call, len(files))
            except ApiRefusedError as error:
                if error.code != NO_BULK_DOOR:
                    raise
                self._by_bulk = False
            else:
                return bulk_results(answer, len(files))
        came: list[Created] = []
        for place, file in enumerate(files):
            came.append((yield from self._send_one(file, f"{token[:56]}-{place}")))
        return came

    def _send_one(self, file: FileToMove, token: str) -> Steps[Created]:
        call = one_file_call(
            file,
            stream=self.ids,
            directories=(self._stream.directory, self._stream.target_directory),
            client_token=token,
        )
        try:
            answer = yield from self._asked(call, 1)
        except ApiRefusedError as error:
            if not error.code.startswith(OF_ONE_FILE):
                raise
            return Created(code=error.code, message=str(error))
        return Created(sub_task_id=str(answer["DataFlowSubTaskId"]))

    def _asked(self, call: Call, count: int) -> Steps[Answer]:
        silences: list[Exception] = []
        self.in_doubt = count
        try:
            answer = yield from patiently(self._ground, call, on_silence=silences.append)
        except ApiRefusedError:
            if not silences:  # no try got as far as doing something
                self.in_doubt = 0
            raise
        self.in_doubt = 0
        return answer

    # --------------------------------------------------------------------------------------------------------------- look

    def look(self) -> Steps[None]:
        """See what became of those under way. Raises SubTaskGoneError for one that the service does not know any more."""
        if self._looking:  # somebody else is at it, and sees for all
            yield Pause(seconds=LOOKS_S[0])
            return
        self._looking = True
        try:
            seen: set[str] = set()
            if len(self.under_way) > BY_ID_MAX:
                yield from self._walk(seen)
            yield from self._ask_by_id(seen)
        finally:
            self._looking = False
            self.looked_s = self._ground.clock()

    def _walk(self, seen: set[str]) -> Steps[None]:
        """The newest of the stream, page by page, back to the oldest of ours; others may have sub-tasks between them."""
        oldest = min(self.under_way)
        token = ""
        for _ in range(2 + 2 * len(self.under_way) // PAGE_MAX):
            answer = yield from page(
                self._ground, "DescribeDataFlowSubTasks", {"DataFlowTaskIds": self.ids.task_id}, next_token=token
            )
            rows = self._noticed(answer)
            seen.update(rows)
            token = str(answer.get("NextToken") or "")
            if not token or (rows and rows[-1] <= oldest):
                return

    def _ask_by_id(self, seen: set[str]) -> Steps[None]:
        """Those that were not on the way there: what lags far behind. In turns, where they are many."""
        left = [sub_task_id for sub_task_id in self.under_way if sub_task_id not in seen]
        start = self._turn % len(left) if left else 0
        turn = (left[start:] + left[:start])[:LAGGARDS_MAX]
        self._turn = start + len(turn)
        for first in range(0, len(turn), IDS_MAX):
            ten = turn[first : first + IDS_MAX]
            answer = yield from page(
                self._ground, "DescribeDataFlowSubTasks", {"DataFlowSubTaskIds": ",".join(ten)}, limit=2 * IDS_MAX
            )
            found = set(self._noticed(answer))
            for gone in [sub_task_id for sub_task_id in ten if sub_task_id not in found]:
                moving = self.under_way.pop(gone, None)
                if moving is not None:
                    raise SubTaskGoneError(f"the service does not know {gone} ({moving.file.source}) any more")

    def _noticed(self, answer: Answer) -> list[str]:
        """The ids that an answer is about; what it says of ours is kept."""
        ids: list[str] = []
        for row in listed(answer, "DataFlowSubTask", "DataFlowSubTask"):
            sub_task_id = str(row["DataFlowSubTaskId"])
            ids.append(sub_task_id)
            moving = self.under_way.get(sub_task_id)
            if moving is None:
                continue
            moving.latest = SubTask.of(row, moving.file)
            if moving.latest.is_final:
                self.ended[sub_task_id] = self.under_way.pop(sub_task_id)
        return ids

    # --------------------------------------------------------------------------------------------------------------- take

    def taken(self) -> SubTask | None:
        """The first that ended and was not taken yet."""
        if not self.ended:
            return None
        _, moving = self.ended.popitem(last=False)
        return moving.latest

    def let_go(self, moving: Moving) -> None:
        """Somebody knows what became of this one."""
        self.ended.pop(moving.sub_task_id, None)

    def make_room(self, count: int) -> Steps[None]:
        """Returns when so many more may be handed over. Of what nobody takes, COMPLETE ones are let go.

        Raises NotMovedError when all that could be taken failed, and nobody has looked.
        """
        looks = 0
        while self.room < count:
            if not self.takers:
                self._let_complete_go()
                if self.room >= count:
                    return
                if not self.under_way:
                    raise self.failure()
            elif not self.under_way:
                return  # whoever takes them may be who submits: it must not wait for itself
            before = len(self.under_way)
            yield from self.look()
            if len(self.under_way) == before:
                yield from rest(looks)
                looks += 1

    def _let_complete_go(self) -> None:
        for sub_task_id, moving in list(self.ended.items()):
            if moving.ended is not None and moving.ended.is_complete:
                del self.ended[sub_task_id]

    def failure(self) -> NotMovedError:
        """Of those that ended and were not taken, the ones that are not COMPLETE."""
        ended = [moving.ended for moving in self.ended.values() if moving.ended is not None]
        return not_moved([each for each in ended if not each.is_complete])

    def settle(self) -> Steps[None]:
        """Returns when nothing is under way. Raises NotMovedError if one failed that nobody has taken."""
        looks = 0
        while self.under_way:
            before = len(self.under_way)
            yield from self.look()
            looks = looks + 1 if len(self.under_way) == before else 0
            if self.under_way:
                yield from rest(looks)
        self._let_complete_go()
        if self.ended:
            raise self.failure()


def not_moved(failed: Sequence[SubTask]) -> NotMovedError:
    """The error that names files which ended otherwise than COMPLETE."""
    words = tuple(each.words for each in failed[:FAILURES_SHOWN])
    if len(failed) == 1:
        return NotMovedError(words[0], failures=words)
    return NotMovedError(f"{len(failed)} files were not moved; the first: {words[0]}", failures=words)


def _not_text(file: FileToMove) -> Refused:
    """As the API would say it, had it been sent by itself."""
    return Refused(file=file, code=NOT_TEXT.code, message=NOT_TEXT.message)


def refusal_of(refused: Refused) -> FileRefusedError:
    """The error for a file that was not accepted."""
    return FileRefusedError(f"{refused.file.source}: {refused.message}", code=refused.code, status=400)
