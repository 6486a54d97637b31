"""How what Penstock depends on is, in values for people: buckets, roots of file systems, movers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.catalog.live import BucketView, MountView, MoverView, Soundness, Stay
from penstock.catalog.verbs import Room
from penstock.catalog.views import LedgerView
from penstock.engine.executor import MoverHealth, MoverRoom
from penstock.engine.figures import by_result
from penstock.engine.flights import Flights
from penstock.engine.messages import BucketFigures, Figures, Lane
from penstock.engine.options import NS_PER_S
from penstock.engine.outages import Refused, Silence
from penstock.errors import FailureCode
from penstock.model import DataFlowStatus, Direction, FileSystem
from penstock.transfer.transfer import Transfer

QUIET_S = 15.0
"""A mover of which nothing was heard for so long, though it was asked, is slow; one in trouble after twice that."""

NO_ANSWER = "NoAnswer"
BUCKET_UNUSABLE = "BucketUnusable"
FILE_SYSTEM_SLOW = "FileSystemSlow"

_THROTTLES = "it asks to slow down: fewer requests are sent, and more again as it allows"
_BUCKET_FULL = "its quota, or the store's space, is used up; exports go on by themselves once there is room"
_UNUSABLE = "a dataflow is Misconfigured: the bucket, or its tag cpfs-dataflow=true, is gone"
_NO_ROOM = "imports find no room there, or it is read-only or away; they go on by themselves once that is over"
_KEEPS_WAITING = "each step on it waits: many small files move at once instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountTrouble:
    """What a look at a root has found; an empty code: it is well."""

    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """Buckets that answer nothing, and those that have refused what somebody else has asked."""

    silent: Mapping[str, Silence]
    refused: Mapping[str, Refused]


def buckets_seen(
    names: Iterable[str],
    figures: Figures,
    troubles: Troubles,
    full: Mapping[Room, int],
    ledger: LedgerView | None,
) -> tuple[BucketView, ...]:
    """These registered buckets. `full` tells when each is looked at next."""
    known = {one.bucket: one for one in figures.buckets}
    unusable = {
        view.flow.bucket
        for view in (ledger.flows if ledger is not None else ())
        if view.flow.status is DataFlowStatus.MISCONFIGURED
    }
    return tuple(_bucket(name, known.get(name), troubles, full, is_unusable=name in unusable) for name in sorted(names))


def _bucket(
    name: str,
    figures: BucketFigures | None,
    troubles: Troubles,
    full: Mapping[Room, int],
    *,
    is_unusable: bool,  # house: within this room
) -> BucketView:
    results = _results(figures)
    room = Room(direction=Direction.EXPORT, name=name)
    is_held_back = figures is not None and (figures.paused_s > 0 or figures.rate_per_s is not None)
    silence, refused = troubles.silent.get(name), troubles.refused.get(name)
    code, message, next_look_ns = "", "", 0
    soundness = Soundness.WELL if results["ok"] else Soundness.UNKNOWN
    if is_unusable:
        soundness, code, message = Soundness.BAD, BUCKET_UNUSABLE, _UNUSABLE
    elif silence is not None:
        soundness, code, message = Soundness.BAD, FailureCode.STORE_UNAVAILABLE, _silent(silence)
        next_look_ns = silence.look_ns
    elif refused is not None:
        soundness, code = Soundness.BAD, refused.code
        message = f"a call that asked it at {_clock(refused.at_ns)} was in vain: {refused.message}"
    elif room in full:
        soundness, code, message = Soundness.BAD, FailureCode.NO_SPACE, _BUCKET_FULL
        next_look_ns = full[room]
    elif is_held_back:
        soundness, code, message = Soundness.SLOW, FailureCode.STORE_THROTTLED, _THROTTLES
    return BucketView(
        name=name,
        soundness=soundness,
        code=code,
        message=message,
        next_look_ns=next_look_ns or None,
        window=int(figures.window) if figures is not None else 0,
        in_flight=figures.in_flight if figures is not None else 0,
        waiting=figures.waiting if figures is not None else 0,
        paused_ms=int(figures.paused_s * 1000) if figures is not None else 0,
        requests_ok=results["ok"],
        requests_throttled=results["throttled"],
        requests_unavailable=results["unavailable"],
        requests_refused=results["refused"],
        overdue=figures.in_flight if figures is not None and silence is not None else 0,
    )


def _silent(silence: Silence) -> str:
    return f"it has answered nothing, or nothing but errors, since {_clock(silence.since_ns)}"


def _clock(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%H:%M:%S} UTC"


def _results(figures: BucketFigures | None) -> dict[str, int]:
    sums = dict.fromkeys(("ok", "throttled", "unavailable", "refused"), 0)
    for method in figures.methods if figures is not None else ():
        for result, count in by_result(method).items():
            sums[result] += count
    return sums


def stay_of(transfer: Transfer, silent: Mapping[str, Silence], mounts: Mapping[str, MountTrouble]) -> Stay | None:
    """What keeps an attempt from moving that a mover has; None: nothing that is known."""
    silence = silent.get(transfer.bucket)
    if silence is not None:
        words = f"bucket {transfer.bucket}: {_silent(silence)}"
        return Stay(code=FailureCode.STORE_UNAVAILABLE, message=words, again_ns=silence.look_ns)
    trouble = mounts.get(transfer.file_system_id)
    if trouble is not None and trouble.code:
        code = FailureCode.FILE_SYSTEM_UNAVAILABLE if trouble.code == NO_ANSWER else trouble.code
        return Stay(code=code, message=trouble.message)
    return None


def mounts_seen(
    roots: Iterable[FileSystem], troubles: Mapping[str, MountTrouble], full: Mapping[Room, int], slow: Collection[str]
) -> tuple[MountView, ...]:
    """The roots of these file systems."""
    return tuple(_mount(root, troubles.get(root.file_system_id), full, slow) for root in roots)


def _mount(
    file_system: FileSystem, trouble: MountTrouble | None, full: Mapping[Room, int], slow: Collection[str]
) -> MountView:
    name = file_system.file_system_id
    next_look_ns = full.get(Room(direction=Direction.IMPORT, name=name))
    soundness, code, message = Soundness.UNKNOWN, "", ""
    if trouble is not None and trouble.code:
        soundness, code, message = Soundness.BAD, trouble.code, trouble.message
    elif next_look_ns is not None:
        soundness, code, message = Soundness.BAD, FailureCode.NO_SPACE, _NO_ROOM
    elif name in slow:
        soundness, code, message = Soundness.SLOW, FILE_SYSTEM_SLOW, _KEEPS_WAITING
    elif trouble is not None:
        soundness = Soundness.WELL
    return MountView(
        file_system_id=name,
        root=file_system.root,
        soundness=soundness,
        code=code,
        message=message,
        next_look_ns=next_look_ns,
    )


def movers_seen(
    healths: Iterable[MoverHealth], rooms: Iterable[MoverRoom], flights: Flights, now_ns: int
) -> tuple[MoverView, ...]:
    """All movers."""
    places = {room.mover: room for room in rooms}
    return tuple(_mover(health, places.get(health.mover), flights, now_ns) for health in healths)


def _mover(health: MoverHealth, room: MoverRoom | None, flights: Flights, now_ns: int) -> MoverView:
    figures = health.figures
    soundness = Soundness.WELL
    if health.process_id is None or health.silent_s > 2 * QUIET_S:
        soundness = Soundness.BAD
    elif health.silent_s > QUIET_S:
        soundness = Soundness.SLOW
    return MoverView(
        name=health.mover,
        soundness=soundness,
        process_id=health.process_id,
        up_since_ns=None if health.age_s is None else now_ns - int(health.age_s * NS_PER_S),
        heard_ns=None if health.process_id is None else now_ns - int(health.silent_s * NS_PER_S),
        small=flights.count_at(health.mover, Lane.SMALL),
        large=flights.count_at(health.mover, Lane.LARGE),
        places_small=room.small_threads if room is not None else 0,
        places_large=room.large_files if room is not None else 0,
        resident_bytes=figures.resident_bytes if figures is not None else 0,
        cpu_ms=int(figures.cpu_s * 1000) if figures is not None else 0,
        restarts=health.deaths,
    )
