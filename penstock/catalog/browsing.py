"""Sheets: pages of sub-tasks as people look through them, by any filter, in two orders, on and back.

Along the narrowest index that the filters allow; what it does not answer is looked at row by row, as many as are allowed, and a
sheet says how far that was. A list goes by visible dataflows, of which there are few, as those of the API do. Reads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from itertools import islice, product

from penstock.catalog import identifiers, rows
from penstock.catalog.cursors import Place, Way, read_place, write_place
from penstock.catalog.database import Row, Value
from penstock.catalog.glance import counts_of, visible
from penstock.catalog.pages import AFTER_ALL
from penstock.catalog.session import Session
from penstock.catalog.views import Browse, Listed, Order, PathEnd, PathFilter, PathMatch, Sheet, Wait
from penstock.catalog.waiting import LINE_IN_LIST_MAX, line, listed
from penstock.model import LIVE_SUB_TASK_STATUSES, DataFlow, Direction, SubTaskStatus, Task

PORTION = 256
NARROW_MAX = 2_000
"""Where no more paths begin so, all of them are found by the index, and nothing else is looked at."""
TASKS_MAX = 50
"""So few tasks are gone by one by one where one direction is asked for."""

_IN_LINE = frozenset({Wait.IN_LINE, Wait.LARGE_LINE, Wait.BEHIND})
"""Whose place a list tells."""
_WORST = (
    SubTaskStatus.FAILED,
    SubTaskStatus.EXPIRED,
    SubTaskStatus.CANCELING,
    SubTaskStatus.RUNNING,
    SubTaskStatus.CREATED,
    SubTaskStatus.CANCELED,
    SubTaskStatus.COMPLETE,
)

_Branch = Callable[[Way, int, int, int], Sequence[int]]
"""(way, after, before, limit) → numbers between the two, falling (ON) or rising (BACK)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """What belongs together in the order: its branches, and its status where it has one."""

    branches: Sequence[_Branch]
    status: SubTaskStatus | None = None


def sheet(session: Session, query: Browse, cursor: str, limit: int, rows_max: int) -> Sheet:
    """One page. InvalidNextTokenError."""
    filters = replace(query, file_systems=())
    place = read_place(cursor, filters) if cursor else Place(way=Way.ON, stretch=0, number=AFTER_ALL)
    flows = {
        number: flow
        for number, flow in visible(session, query.file_systems).items()
        if query.data_flow_ids is None or flow.data_flow_id in query.data_flow_ids
    }
    stretches, is_narrow = _stretches(session, query, flows)
    wanted = _wanted(query, flows, is_narrow=is_narrow)
    look = _Look(session, query, stretches, wanted, rows_max)
    found = look.fill(place, limit)
    items = _load(session, flows, [number for _, number in found])
    return Sheet(
        items=items,
        newer=_newer(look, place, found, filters, is_first=not cursor),
        older=_older(look, place, found, filters),
        looked_to_ns=None if look.is_whole else look.last[1],
        looked_status=None if look.is_whole else stretches[look.last[0]].status,
        total=_total(session, query, flows),
    )


class _Look:
    """One walk along the stretches: what it finds, how far it went. `last` is (stretch, number) of the row looked at last."""

    def __init__(
        self,
        session: Session,
        query: Browse,
        stretches: Sequence[_Stretch],
        wanted: Callable[[Row], bool] | None,
        rows_max: int,
    ) -> None:
        self._session = session
        self._low = (query.created_from_ns or 0) - 1
        self._high = AFTER_ALL if query.created_until_ns is None else query.created_until_ns
        self._stretches = stretches
        self._wanted = wanted
        self._rows_max = rows_max
        self.last = (0, 0)
        self.is_whole = True  # the page was filled, or the end was reached
        self.has_more = False

    def fill(self, place: Place, limit: int) -> list[tuple[int, int]]:
        """At most `limit` of what is wanted behind (or before) a place, in the list's order."""
        found: list[tuple[int, int]] = []
        self.last = (place.stretch, place.number)
        numbers = self._numbers(place, limit + 1)
        left = self._rows_max
        while True:
            portion = list(islice(numbers, min(limit + 1 if self._wanted is None else PORTION, left)))
            for each in self._kept(portion):
                if len(found) == limit:
                    self.has_more = True
                    return found if place.way is Way.ON else found[::-1]
                found.append(each)
            left -= len(portion)
            if portion:
                self.last = portion[-1]
            else:
                break
            if left <= 0:
                self.has_more, self.is_whole = True, False
                break
        return found if place.way is Way.ON else found[::-1]

    def _kept(self, portion: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        if self._wanted is None:
            return portion
        slim = self._session.rows_in("reading.slim", [number for _, number in portion])
        kept = {row["number"] for row in slim if self._wanted(row)}
        return [each for each in portion if each[1] in kept]

    def _numbers(self, place: Place, portion: int) -> Iterator[tuple[int, int]]:
        """(stretch, number) of all that the branches have behind a place, each once."""
        is_on = place.way is Way.ON
        stretches = range(place.stretch, len(self._stretches)) if is_on else range(place.stretch, -1, -1)
        for stretch in stretches:
            low, high = self._low, self._high
            if stretch == place.stretch and is_on:
                high = min(high, place.number)
            elif stretch == place.stretch:
                low = max(low, place.number)
            branches = self._stretches[stretch].branches if stretch < len(self._stretches) else ()
            walks = [_along(branch, place.way, low, high, portion) for branch in branches]
            last = -1
            for number in merge(*walks, reverse=is_on):
                if number != last:
                    last = number
                    yield stretch, number


def _along(branch: _Branch, way: Way, after: int, before: int, portion: int) -> Iterator[int]:
    while True:
        numbers = branch(way, after, before, portion)
        yield from numbers
        if len(numbers) < portion:
            return
        if way is Way.ON:
            before = numbers[-1]
        else:
            after = numbers[-1]


def _older(look: _Look, place: Place, found: Sequence[tuple[int, int]], filters: Browse) -> str:
    """The cursor of what lies behind this page."""
    if place.way is Way.ON:
        if not look.has_more:
            return ""
        stretch, number = found[-1] if look.is_whole else look.last
    else:
        stretch, number = found[-1] if found else (place.stretch, place.number + 1)
    return write_place(Place(way=Way.ON, stretch=stretch, number=number), filters)


def _newer(look: _Look, place: Place, found: Sequence[tuple[int, int]], filters: Browse, *, is_first: bool) -> str:
    """The cursor of what lies before this page."""
    if place.way is Way.ON:
        if is_first:
            return ""
        stretch, number = found[0] if found else (place.stretch, place.number - 1)
    else:
        if not look.has_more:
            return ""
        stretch, number = found[0] if look.is_whole else look.last
    return write_place(Place(way=Way.BACK, stretch=stretch, number=number), filters)


# ------------------------------------------------------------------------------------------------------------- branches


def _stretches(session: Session, query: Browse, flows: Mapping[int, DataFlow]) -> tuple[Sequence[_Stretch], bool]:
    """The order in stretches, and whether they hold nothing but paths that were asked for."""
    given = None if query.path is None else _given(session, query.path, flows)
    if query.order is Order.NEWEST:
        if given is not None:
            return [_Stretch(branches=[partial(_between, given)])], True
        return [_Stretch(branches=_branches(session, _tasks(session, query, flows), flows, query.statuses))], False
    statuses = [status for status in _WORST if query.statuses is None or status in query.statuses]
    if given is not None:
        by_status: dict[str, list[int]] = {}
        for row in session.rows_in("reading.slim", given):
            by_status.setdefault(row["status"], []).append(row["number"])
        return [
            _Stretch(branches=[partial(_between, by_status.get(status, ()))], status=status) for status in statuses
        ], True
    tasks = _tasks(session, query, flows)
    return [_Stretch(branches=_branches(session, tasks, flows, (status,)), status=status) for status in statuses], False


def _tasks(session: Session, query: Browse, flows: Iterable[int]) -> Sequence[int] | None:
    """The tasks to go by, where some are asked for, or few have files of the direction that is; None: by dataflows."""
    if query.task_ids is not None:
        return sorted(set(map(identifiers.task_number, query.task_ids)))
    if query.direction is None:
        return None
    numbers: list[int] = []
    for flow in flows:
        found = session.rows("tasks.page_of_data_flow", data_flow_number=flow, before=AFTER_ALL, limit=TASKS_MAX + 1)
        numbers += [number for (number,) in found]
        if len(numbers) > TASKS_MAX:
            return None
    wanted = int(query.direction is Direction.IMPORT)
    return [number for number, importing in session.rows_in("counts.directions", numbers) if importing == wanted]


def _branches(
    session: Session, tasks: Sequence[int] | None, flows: Iterable[int], statuses: Sequence[SubTaskStatus] | None
) -> Sequence[_Branch]:
    if tasks is not None:
        return [
            _indexed(session, "of_task", task_number=task, status=status)
            for task, status in product(tasks, dict.fromkeys(SubTaskStatus if statuses is None else statuses))
        ]
    if statuses is not None:
        return [
            _indexed(session, "by_status", data_flow_number=flow, status=status)
            for flow, status in product(flows, dict.fromkeys(statuses))
        ]
    return [_indexed(session, "of_data_flow", data_flow_number=flow) for flow in flows]


def _indexed(session: Session, index: str, **key: Value) -> _Branch:
    older, newer = _STATEMENTS[index]

    def branch(way: Way, after: int, before: int, limit: int) -> list[int]:
        statement = older if way is Way.ON else newer
        return [number for (number,) in session.rows(statement, after=after, before=before, limit=limit, **key)]

    return branch


_STATEMENTS = {
    "of_data_flow": ("reading.older_of_data_flow", "reading.newer_of_data_flow"),
    "by_status": ("reading.older_by_status", "reading.newer_by_status"),
    "of_task": ("reading.older_of_task", "reading.newer_of_task"),
}


def _between(numbers: Sequence[int], way: Way, after: int, before: int, limit: int) -> Sequence[int]:
    """A branch over numbers that are known already."""
    within = sorted((number for number in numbers if after < number < before), reverse=way is Way.ON)
    return within[:limit]


def _given(session: Session, path: PathFilter, flows: Iterable[int]) -> Sequence[int] | None:
    """All sub-tasks with that path, where an index tells them and they are few; None where rows have to be looked at."""
    if path.match is PathMatch.CONTAINS or not path.text:
        return None
    found: set[int] = set()
    bounds_of = rows.bounds_of_path if path.match is PathMatch.EXACT else rows.bounds_of_beginning
    low, high = bounds_of(path.text)
    ends = {PathEnd.SOURCE: ("reading.from_source",), PathEnd.TARGET: ("reading.to_target",)}
    statements = ends.get(path.end, ("reading.from_source", "reading.to_target"))
    for flow, statement in product(flows, statements):
        left = NARROW_MAX + 1 - len(found)
        found.update(
            number for (number,) in session.rows(statement, data_flow_number=flow, low=low, high=high, limit=left)
        )
        if len(found) > NARROW_MAX:
            return None
    return tuple(found)


# -------------------------------------------------------------------------------------------------------------- filters


def _wanted(query: Browse, flows: Mapping[int, DataFlow], *, is_narrow: bool) -> Callable[[Row], bool] | None:
    """What the index does not answer; None where it answers all."""
    judges: list[Callable[[Row], bool]] = []
    if query.task_ids is not None:  # also for tasks of dataflows that are out of sight
        tasks = frozenset(map(identifiers.task_number, query.task_ids))
        judges.append(lambda row: row["data_flow_number"] in flows and row["task_number"] in tasks)
    if query.path is not None:
        judges.append(_path_judge(query.path))
    if is_narrow and query.statuses is not None:
        statuses = frozenset(map(str, query.statuses))
        judges.append(lambda row: row["status"] in statuses)
    if query.direction is not None:
        importing = int(query.direction is Direction.IMPORT)
        judges.append(lambda row: row["importing"] == importing)
    if query.size_from_bytes is not None or query.size_until_bytes is not None:
        least, most = query.size_from_bytes or 0, query.size_until_bytes
        judges.append(
            lambda row: _is_known(row) and row["bytes_total"] >= least and (most is None or row["bytes_total"] < most)
        )
    if not judges:
        return None
    return lambda row: all(judge(row) for judge in judges)


def _is_known(row: Row) -> bool:
    """Whether its size is: 0 means that only of a file that arrived."""
    return bool(row["bytes_total"] > 0 or row["status"] == SubTaskStatus.COMPLETE)


def _path_judge(path: PathFilter) -> Callable[[Row], bool]:
    names = ("source", "target") if path.end is PathEnd.EITHER else (path.end.value,)
    text = path.text
    match path.match:
        case PathMatch.EXACT:
            return lambda row: any(row[name] == text for name in names)
        case PathMatch.PREFIX:
            return lambda row: any(str(row[name]).startswith(text) for name in names)
        case PathMatch.CONTAINS:
            folded = text.casefold()
            return lambda row: any(folded in row[name].casefold() for name in names)


def _total(session: Session, query: Browse, flows: Mapping[int, DataFlow]) -> int | None:
    """How many there are, where counters that are kept tell it: of statuses that history never forgets."""
    others = (
        query.direction, query.path, query.size_from_bytes, query.size_until_bytes, query.created_from_ns, query.created_until_ns,
    )  # fmt: skip
    if not query.statuses or not LIVE_SUB_TASK_STATUSES.issuperset(query.statuses):
        return None
    if any(other is not None for other in others):
        return None
    names = [status.value.lower() for status in dict.fromkeys(query.statuses)]
    if query.task_ids is not None:
        tasks = session.rows_in("tasks.by_numbers", sorted(set(map(identifiers.task_number, query.task_ids))))
        return sum(int(row[name]) for row in tasks if row["data_flow_number"] in flows for name in names)
    counts = counts_of(session, flows).values()
    return sum(int(getattr(count, _COUNTED[name])) for count in counts for name in names)


_COUNTED = {"created": "waiting", "running": "running", "canceling": "canceling"}


# ----------------------------------------------------------------------------------------------------------------- rows


def _load(session: Session, flows: Mapping[int, DataFlow], numbers: Sequence[int]) -> tuple[Listed, ...]:
    found = {row["number"]: row for row in session.rows_in("sub_tasks.by_numbers", numbers)}
    return tuple(listed_rows(session, flows, [found[number] for number in numbers if number in found]))


def listed_rows(session: Session, flows: Mapping[int, DataFlow], found: Sequence[Row]) -> Iterator[Listed]:
    """Rows as lists show them; those of dataflows out of sight are left out."""
    seen = [row for row in found if row["data_flow_number"] in flows]
    tasks: dict[int, Task] = {
        row["number"]: rows.task(row, flows[row["data_flow_number"]])
        for row in session.rows_in("tasks.by_numbers", sorted({row["task_number"] for row in seen}))
    }
    for row in seen:
        task = tasks[row["task_number"]]
        shown = listed(row, task, flows[row["data_flow_number"]], session.now_ns)
        yield (
            replace(shown, line=line(session, row, shown.wait, task, LINE_IN_LIST_MAX))
            if shown.wait in _IN_LINE
            else shown
        )
