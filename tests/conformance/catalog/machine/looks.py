"""The rules of those who look: lists with every filter, page by page, at once and while everything changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.catalog.verbs import DataFlowQuery, SubTaskQuery, TaskQuery
from penstock.errors import InvalidNextTokenError
from penstock.model import SubTaskStatus, TaskAction, TaskStatus
from tests.conformance.catalog.machine.callers import PLACES, SOURCES, TARGETS, path_of
from tests.conformance.catalog.machine.stand import FSS, NO_FILE, NO_FLOW, NO_TASK, Stand, pick
from tests.fixtures.ledgerdisk import SqliteDisk

SOME = st.one_of(st.none(), st.lists(PLACES, max_size=3))
LIMITS = st.integers(1, 5)
PAGES_MAX = 200


@dataclass(slots=True, kw_only=True)
class Walk:
    """Somebody turns pages while others write: what was there when it began has to be seen, once."""

    query: SubTaskQuery
    limit: int
    disk: SqliteDisk
    there: list[str]
    token: str = ""
    seen: list[str] = field(default_factory=list)


class Looks(Stand):
    """Whoever looks."""

    walk: Walk | None = None

    def ids(self, places: Sequence[int] | None, known: Sequence[str], unknown: str) -> tuple[str, ...] | None:
        """A filter by id: some that are there and, now and then, one that is not."""
        if places is None:
            return None
        return tuple((pick(place, known) or unknown) if place % 11 else unknown for place in places)

    def one_of(self, value: str, wanted: Sequence[str] | None) -> bool:
        return wanted is None or value in wanted

    @rule(
        fs=st.sampled_from(FSS),
        flows=SOME,
        tasks=SOME,
        names=SOME,
        statuses=st.one_of(st.none(), st.lists(st.sampled_from(SubTaskStatus), max_size=3)),
        read=st.one_of(st.none(), st.none(), st.lists(st.sampled_from(SOURCES), max_size=2)),
        written=st.one_of(st.none(), st.none(), st.lists(st.sampled_from(TARGETS), max_size=2)),
        limit=LIMITS,
    )
    def look_at_sub_tasks(
        self,
        *,
        fs: str,
        flows: list[int] | None,
        tasks: list[int] | None,
        names: list[int] | None,
        statuses: list[SubTaskStatus] | None,
        read: list[str] | None,
        written: list[str] | None,
        limit: int,
    ) -> None:
        self.tick()
        query = SubTaskQuery(
            file_system_id=fs,
            data_flow_ids=self.ids(flows, list(self.ledger.flows), NO_FLOW),
            task_ids=self.ids(tasks, list(self.ledger.streams), NO_TASK),
            sub_task_ids=self.ids(names, list(self.ledger.files), NO_FILE),
            statuses=None if statuses is None else tuple(statuses),
            sources=None if read is None else tuple(path_of("/train/", one) for one in read),
            targets=None if written is None else tuple(path_of("/data/", one) for one in written),
        )
        found = self.all_pages(self.catalog.sub_tasks, query, limit)
        assert [row.sub_task_id for row in found] == self.wanted(query)

    def wanted(self, query: SubTaskQuery) -> list[str]:
        """What a list of sub-tasks has to show, newest first."""
        flows = {flow.flow_id for flow in self.ledger.visible(query.file_system_id)}
        return [
            file.sub_task_id
            for file in reversed(self.ledger.files.values())
            if file.flow_id in flows
            and self.one_of(file.flow_id, query.data_flow_ids)
            and self.one_of(file.task_id, query.task_ids)
            and self.one_of(file.sub_task_id, query.sub_task_ids)
            and self.one_of(file.status, query.statuses)
            and self.one_of(file.new.source, query.sources)
            and self.one_of(file.new.target, query.targets)
        ]

    def all_pages(self, ask: Any, query: Any, limit: int) -> list[Any]:
        """All pages of a list. Each is at most as long as asked for, and its token fits no other filters."""
        found: list[Any] = []
        token = ""
        for _ in range(PAGES_MAX):
            page = self.do(ask(query, next_token=token, limit=limit))
            assert len(page.items) <= limit
            found += page.items
            token = page.next_token
            if not token:
                return found
            with pytest.raises(InvalidNextTokenError):
                self.do(ask(replace(query, file_system_id="bmcpfs-other"), next_token=token, limit=limit))
        raise AssertionError(f"no end of pages for {query}")

    @rule(
        fs=st.sampled_from(FSS),
        flows=SOME,
        tasks=SOME,
        statuses=st.one_of(st.none(), st.lists(st.sampled_from(TaskStatus), max_size=2)),
        actions=st.one_of(st.none(), st.lists(st.sampled_from(TaskAction), max_size=2)),
        part=st.sampled_from([None, "", "text", "none"]),
        limit=LIMITS,
    )
    def look_at_tasks_and_flows(
        self,
        *,
        fs: str,
        flows: list[int] | None,
        tasks: list[int] | None,
        statuses: list[TaskStatus] | None,
        actions: list[TaskAction] | None,
        part: str | None,
        limit: int,
    ) -> None:
        self.tick()
        self.look_at_flows(fs, flows, part, limit)
        for owner in self.ledger.leases:
            assert list(self.do(self.catalog.canceling(owner))) == self.work.canceling(owner)
        query = TaskQuery(
            file_system_id=fs,
            data_flow_ids=self.ids(flows, list(self.ledger.flows), NO_FLOW),
            task_ids=self.ids(tasks, list(self.ledger.streams), NO_TASK),
            statuses=statuses,
            actions=actions,
        )
        visible = {flow.flow_id for flow in self.ledger.visible(fs)}
        assert [task.task_id for task in self.all_pages(self.catalog.tasks, query, limit)] == [
            one.task_id
            for one in reversed(self.ledger.streams.values())
            if one.flow_id in visible
            and self.one_of(one.flow_id, query.data_flow_ids)
            and self.one_of(one.task_id, query.task_ids)
            and self.one_of(one.status, statuses)
            and self.one_of(one.new.action, actions)
        ]

    def look_at_flows(self, fs: str, flows: list[int] | None, part: str | None, limit: int) -> None:
        ids = self.ids(flows, list(self.ledger.flows), NO_FLOW)
        query = DataFlowQuery(file_system_id=fs, data_flow_ids=ids, description_part=part)
        assert [flow.data_flow_id for flow in self.all_pages(self.catalog.data_flows, query, limit)] == [
            flow.flow_id
            for flow in self.ledger.visible(fs)
            if self.one_of(flow.flow_id, ids) and (part or "") in flow.description
        ]

    @rule(fs=st.sampled_from(FSS), place=PLACES, limit=LIMITS)
    def walk_on(self, fs: str, place: int, limit: int) -> None:
        """All of a file system, or of a task, page by page, with other rules between the pages."""
        self.tick()
        if self.walk is None or self.walk.disk is not self.disk:  # or what was seen was never written, as it turned out
            task = pick(place, list(self.ledger.streams)) if place % 2 else None
            query = SubTaskQuery(file_system_id=fs, task_ids=None if task is None else (task,))
            self.walk = Walk(query=query, limit=limit, disk=self.disk, there=self.wanted(query))
        self.turn_page(self.walk)

    def turn_page(self, walk: Walk) -> None:
        """The next page of a walk."""
        page = self.do(self.catalog.sub_tasks(walk.query, next_token=walk.token, limit=walk.limit))
        walk.seen += [row.sub_task_id for row in page.items]
        walk.token = page.next_token
        assert len(walk.seen) == len(set(walk.seen)), "seen twice in one walk"
        if not walk.token:
            left = set(self.wanted(walk.query))
            missing = [name for name in walk.there if name in left and name not in walk.seen]
            assert not missing, "never seen in a walk that began with them"
            self.walk = None
