"""The keeper: duties that have a rhythm: renewing leases, rescuing, expiring, pruning.

Each duty stands alone: it runs under a time limit, an error in one is told and tried again at its next turn, and keeps no other
from being done. Calls the catalog only. Claims and settles nothing. (Buckets' tags are looked at by `tags`, in its own loop.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from penstock import telemetry
from penstock.catalog.catalog import Catalog
from penstock.engine.flights import Flights
from penstock.engine.options import NS_PER_S, KeeperOptions, to_ns
from penstock.engine.owners import Owners


class Duty:
    """One thing to do every `every_s`; `work` does it and returns how many rows or dataflows it changed."""

    def __init__(self, name: str, every_s: float, work: Callable[[], Awaitable[int]]) -> None:
        self.name = name
        self.every_ns = to_ns(every_s)
        self.work = work
        self.due_ns = 0
        self.running = False


class Keeper:
    """Runs the duties. `step` starts those that are due and returns when they have ended or run out of time."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        flights: Flights,
        owners: Owners,
        options: KeeperOptions,
        now_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._flights = flights
        self._owners = owners
        self._options = options
        self._now_ns = now_ns
        self._duties = (
            Duty("renew", options.renew_every_s, self.renew),
            Duty("rescue", options.rescue_every_s, self.rescue),
            Duty("expire", options.expire_every_s, self.expire),
            Duty("prune", options.prune_every_s, self.prune),
        )

    async def step(self) -> float:
        """Do what is due; returns how long nothing is due, in seconds."""
        now_ns = self._now_ns()
        due = [duty for duty in self._duties if duty.due_ns <= now_ns and not duty.running]
        await asyncio.gather(*(self._do(duty) for duty in due))
        return max(0.05, min(duty.due_ns - self._now_ns() for duty in self._duties) / NS_PER_S)

    async def _do(self, duty: Duty) -> None:
        duty.running = True
        duty.due_ns = self._now_ns() + duty.every_ns
        try:
            async with asyncio.timeout(self._options.duty_limit_s):
                changed = await duty.work()
        except Exception as error:  # noqa: BLE001  (a duty's error must not keep the others from being done)
            telemetry.failure("keeper.duty_failed", error, duty=duty.name)
        else:
            if changed:
                telemetry.event(f"keeper.{duty.name}", level=telemetry.Level.DEBUG, changed=changed)
        finally:
            duty.running = False

    # -------------------------------------------------------------------------------------------------------------- duties

    async def renew(self) -> int:
        """Let all leases of ours last longer."""
        until_ns = self._now_ns() + to_ns(self._options.lease_s)
        alive = self._owners.alive(self._flights.owners())
        for owner in alive:
            await self._catalog.renew(owner, until_ns)
        return 0

    async def rescue(self) -> int:
        """Free what dead owners, and retired names of ours, still hold. Ours are renewed first: we are alive, also if the clock
        jumps, or this process stands still, right after that. So what counts as over was over before."""
        now_ns = self._now_ns()
        await self.renew()
        rescued = 0
        for owner in self._owners.to_void(self._flights.owners()):
            rescued += await self._catalog.rescue(now_ns=now_ns, owner=owner)
            self._owners.voided(owner)
        return rescued + await self._catalog.rescue(now_ns=now_ns)

    async def expire(self) -> int:
        """End sub-tasks that were not started in time."""
        older_than_ns = self._now_ns() - to_ns(self._options.subtask_expiry_s)
        return await self._in_batches(
            lambda: self._catalog.expire(older_than_ns=older_than_ns, limit=self._options.batch_max)
        )

    async def prune(self) -> int:
        """Forget history, tokens and nonces that have served their time, a little at once."""
        now_ns = self._now_ns()
        return await self._in_batches(
            lambda: self._catalog.prune(
                sub_tasks_before_ns=now_ns - to_ns(self._options.history_retention_s),
                tokens_before_ns=now_ns - to_ns(self._options.token_retention_s),
                nonces_before_ns=now_ns - to_ns(self._options.nonce_retention_s),
                limit=self._options.batch_max,
            )
        )

    async def _in_batches(self, batch: Callable[[], Awaitable[int]]) -> int:
        total = 0
        for _ in range(self._options.batches_max):
            changed = await batch()
            total += changed
            if changed == 0:
                break
            await asyncio.sleep(0)  # the API's commits go in between
        return total
