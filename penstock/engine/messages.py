"""The messages between the runner and its movers: plain values, the same for threads, processes and other machines.

Down go `Lease` and `Control`; up comes `Report`. Callbacks, stores and secrets never cross: credentials go by the bucket's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.transfer.transfer import Checkpoint, Outcome, Progress, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A batch of work for one mover, bounded by count and bytes."""

    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a mover should know now. `canceled` and `fenced` name (sub_task_id, attempt) pairs."""

    canceled: tuple[tuple[str, int], ...] = ()
    fenced: tuple[tuple[str, int], ...] = ()
    checkpointed: tuple[int, ...] = ()  # sequence numbers of CheckpointRequest that are durable now
    refused: tuple[int, ...] = ()  # sequence numbers whose attempt is fenced off
    drain: bool = False
    registry_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRequest:
    """A record that must be durable before the mover goes on; answered by `Control.checkpointed` or `.refused`."""

    sequence: int
    sub_task_id: str
    attempt: int
    record: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a mover has to say, batched."""

    mover: str
    progress: tuple[Progress, ...] = ()
    checkpoints: tuple[CheckpointRequest, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
