"""A line: the transfers that wait for one lane's threads inside a mover, taken in turn by task.

A task with a hundred files in the line delays another task's first file by one file a thread, not by a hundred; a task whose
bucket may not begin another file now is passed over. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from penstock.engine.executor import Attempt
from penstock.engine.running import Running
from penstock.transfer.transfer import Transfer

HELD_UP_LOOK_S = 0.1


class Line:
    """What waits for one lane. `take` blocks. `admit` says whether a transfer may begin now, and counts it if so."""

    def __init__(self, admit: Callable[[Transfer], bool] = lambda _: True) -> None:
        self._admit = admit
        self._changed = threading.Condition()
        self._by_task: dict[str, deque[Running]] = {}
        self._turns: deque[str] = deque()
        self._waiting: dict[Attempt, Running] = {}
        self._ring: Callable[[], None] = lambda: None

    def listen(self, ring: Callable[[], None]) -> None:
        """Have `ring` called whenever some have been added, for who does not wait in `take`."""
        self._ring = ring

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, items: list[Running]) -> None:
        """Put these at the end of their tasks' queues."""
        with self._changed:
            for item in items:
                task = item.transfer.task_id
                if task not in self._by_task:
                    self._by_task[task] = deque()
                    self._turns.append(task)
                self._by_task[task].append(item)
                self._waiting[item.attempt] = item
            self._changed.notify(len(items))
        self._ring()

    def take(self) -> Running:
        """The next one, when there is one."""
        with self._changed:
            while True:
                item = self._next()
                if item is not None:
                    del self._waiting[item.attempt]
                    return item
                self._changed.wait(HELD_UP_LOOK_S if self._waiting else None)

    def take_now(self, may_begin: Callable[[Transfer], bool] = lambda _: True) -> Running | None:
        """The next one, if there is one that may begin; `may_begin` is asked before `admit`, and counts nothing."""
        with self._changed:
            item = self._next(may_begin) if self._waiting else None
            if item is not None:
                del self._waiting[item.attempt]
            return item

    def remove(self, attempt: Attempt) -> Running | None:
        """Take this one out, if it still waits."""
        with self._changed:
            return self._waiting.pop(attempt, None)

    def empty(self) -> list[Running]:
        """Take all out."""
        with self._changed:
            items = list(self._waiting.values())
            self._waiting.clear()
            self._by_task.clear()
            self._turns.clear()
            return items

    def _next(self, may_begin: Callable[[Transfer], bool] = lambda _: True) -> Running | None:
        """The head of the next task's queue that may begin; what was removed meanwhile is passed over."""
        for _ in range(len(self._turns)):
            task = self._turns.popleft()
            queue = self._by_task[task]
            while queue and self._waiting.get(queue[0].attempt) is not queue[0]:
                queue.popleft()
            head = queue[0].transfer if queue else None
            item = queue.popleft() if head is not None and may_begin(head) and self._admit(head) else None
            if queue:
                self._turns.append(task)
            else:
                del self._by_task[task]
            if item is not None:
                return item
        return None
