"""Another client of a bucket: it puts, creates or deletes an object, or exports or imports a file as another mover would."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import fastcrc
from msgspec.structs import replace as changed

from penstock.errors import PreconditionFailedError, StoreError
from penstock.model import ConflictPolicy, Direction
from penstock.stores.base import CreateOnly, Overwrite, Precondition, Store
from penstock.transfer.transfer import Intent, Lane
from tests.faults.races.buckets import opened
from tests.faults.races.striking import orders, say, spin, struck
from tests.faults.transfer.exports import later
from tests.fixtures.gate import LIMITS, Gate, open_gate, transfer

THEIRS = b"theirs, of another client"


def _put(store: Store, key: str, precondition: Precondition) -> dict[str, Any]:
    try:
        store.put(key, [THEIRS], crc64=fastcrc.crc64.xz(THEIRS), metadata={}, precondition=precondition)
    except PreconditionFailedError:
        return {"won": False}
    return {"won": True}


def _delete(store: Store, key: str) -> dict[str, Any]:
    store.delete(key)
    return {"won": True}


def _export(gate: Gate, store: Store, order: Mapping[str, Any], go: Callable[[], None]) -> dict[str, Any]:
    """As another sub-task, its file in another directory; it waits at a failpoint for the order to go on."""
    size_bytes, modify_ns = int(order["size_bytes"]), int(order["modify_ns"])
    gate.target.write_bytes(theirs_of(size_bytes))
    os.utime(gate.target, ns=(modify_ns, modify_ns))
    what = transfer(
        Direction.EXPORT,
        sub_task_id=f"theirs-{order['key']}",
        key=order["key"],
        conflict_policy=ConflictPolicy(order["policy"]),
        bucket=store.bucket,
    )
    lane = Lane.LARGE if size_bytes > LIMITS.small_file_max_bytes else Lane.SMALL
    with struck(order["point"], go, passing=order["passing"]):
        outcome = gate.move(what, store, lane=lane)
    return {"verdict": outcome.verdict.value, "guarantee": outcome.guarantee or "", "message": outcome.message}


def _import(gate: Gate, store: Store, order: Mapping[str, Any], go: Callable[[], None]) -> dict[str, Any]:
    """As another sub-task, into a directory that both have."""
    what = transfer(
        sub_task_id=f"theirs-{order['path']}",
        key=order["key"],
        path=order["path"],
        conflict_policy=ConflictPolicy(order["policy"]),
        bucket=store.bucket,
    )
    with struck(order["point"], go):
        outcome = gate.move(what, store, lane=Lane(order["lane"]))
    if outcome.tidy:
        gate.move(changed(what, intent=Intent.TIDY), store)
    return {"verdict": outcome.verdict.value, "guarantee": outcome.guarantee or "", "message": outcome.message}


def theirs_of(size_bytes: int) -> bytes:
    """What a rival's file of that size holds."""
    return (b"T" * size_bytes)[:size_bytes]


ACTS: Mapping[str, Callable[[Store, str], dict[str, Any]]] = {
    "put": lambda store, key: _put(store, key, Overwrite()),
    "create": lambda store, key: _put(store, key, CreateOnly()),
    "delete": _delete,
}


def main() -> None:
    """Until nobody gives orders any more."""
    asked = orders()
    told = next(asked)
    with tempfile.TemporaryDirectory() as directory:
        gate = open_gate(Path(told.get("root", directory)))
        gate.clock = later
        stores = {name: opened(address) for name, address in told["buckets"].items()}
        say(ready=True)
        with closing(gate):
            for order in asked:
                answer = _obeyed(gate, stores[order["bucket"]], order, lambda: spin(next(asked)["wait_ns"]))
                say(**answer, done_ns=time.monotonic_ns())
        for store in stores.values():
            store.close()


def _obeyed(gate: Gate, store: Store, order: Mapping[str, Any], go: Callable[[], None]) -> dict[str, Any]:
    try:
        if order["act"] == "export":
            return _export(gate, store, order, go)
        if order["act"] == "import":
            return _import(gate, store, order, go)
        go()
        return ACTS[order["act"]](store, order["key"])
    except StoreError as error:
        return {"won": False, "error": str(error)}


if __name__ == "__main__":
    main()
