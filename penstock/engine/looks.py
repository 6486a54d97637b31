"""One batch's looks at what it works on: each in a thread, one at a time, and made again when it has failed.

What may pass is waited for, as long as a file would be; else the batch is given up, and Failed in the end. Calls the catalog to
say so; what is looked at, and what becomes of it, is whoever's looks they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from penstock import telemetry
from penstock.catalog.batches import Batches
from penstock.catalog.batchwork import Batch
from penstock.engine import apart
from penstock.engine.options import ListerOptions, RetryOptions, to_ns
from penstock.errors import FailureCode, PenstockError, TransferError

Seen = TypeVar("Seen")


class Looks(Generic[Seen]):
    """Those of one batch. `wake` is called when one has come back; `is_given_up` once none will be made again."""

    def __init__(
        self,
        *,
        batches: Batches,
        options: ListerOptions,
        retry: RetryOptions,
        now_ns: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._batches = batches
        self._options = options
        self._retry = retry
        self._now_ns = now_ns
        self._wake = wake
        self._look: asyncio.Future[Seen] | None = None
        self._failures = 0
        self._failing_since_ns = 0
        self._due_ns = 0
        self.is_given_up = False

    @property
    def may_begin(self) -> bool:
        """Whether none is under way, and it is time for one."""
        return self._look is None and not self.is_given_up and self._due_ns <= self._now_ns()

    def begin(self, look: Callable[[], Seen], name: str) -> None:
        """Have it made in a thread; it may raise TransferError, or another PenstockError, which may pass."""
        self._look = apart.ask(look, name)
        self._look.add_done_callback(lambda _: self._wake())

    async def taken(self, batch: Batch) -> Seen | None:
        """What the one under way has found; None while it has not come back, or where it found nothing."""
        if self._look is None or not self._look.done():
            return None
        look, self._look = self._look, None
        try:
            seen = look.result()
        except TransferError as error:
            await self._failed(batch, error)
            return None
        except PenstockError as error:  # no credentials, say: that can be mended
            await self._failed(batch, TransferError(FailureCode.STORE_UNAVAILABLE, str(error), waiting_helps=True))
            return None
        except Exception as error:  # noqa: BLE001  (a defect of ours holds up this batch alone, and not for ever)
            telemetry.failure("lister.look_broke", error, task_id=batch.task_id)
            may_pass = isinstance(error, OSError | MemoryError)
            words = f"a fault in the service itself, which its log tells in full: {type(error).__name__}"
            await self._failed(batch, TransferError(FailureCode.INTERNAL, words, waiting_helps=may_pass))
            return None
        if self._failures or batch.error_message:
            self._failures = 0
            await self._batches.explain(batch.task_id, "")
        return seen

    async def _failed(self, batch: Batch, error: TransferError) -> None:
        now_ns = self._now_ns()
        self._failing_since_ns = self._failing_since_ns if self._failures else now_ns
        self._failures += 1
        is_late = now_ns - self._failing_since_ns > to_ns(self._retry.deadline_s)
        telemetry.event("lister.look_failed", task_id=batch.task_id, code=error.code, in_a_row=self._failures)
        if not error.waiting_helps or is_late:
            self.is_given_up = True
            await self._batches.give_up_listing(batch.task_id, code=error.code, message=str(error))
            return
        waits_s = self._retry.waits_s
        wait_s = max(waits_s[min(self._failures, len(waits_s)) - 1], error.retry_after_s or 0.0)
        self._due_ns = now_ns + to_ns(min(wait_s, self._options.wait_max_s))
        await self._batches.explain(batch.task_id, f"{error.code}: {error}")
