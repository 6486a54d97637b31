"""A mover of one attempt, in a process of its own: a sub-task that two movers were given at once, as in two copies of a HOME."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from penstock import failpoints
from penstock.transfer.transfer import Lane
from tests.faults.races.buckets import opened
from tests.faults.races.striking import orders, say
from tests.fixtures.gate import open_gate, transfer


def main() -> None:
    """One order, one attempt, one answer."""
    asked = orders()
    told = next(asked)
    gate = open_gate(Path(told["root"]))
    with closing(gate), closing(opened(told["bucket"])) as store:
        say(ready=True)
        order = next(asked)
        failpoints.arm(order["traps"])
        what = transfer(key=order["key"], attempt=order["attempt"], bucket=store.bucket)
        outcome = gate.move(what, store, lane=Lane(order["lane"]))
        say(verdict=outcome.verdict.value, message=outcome.message)


if __name__ == "__main__":
    main()
