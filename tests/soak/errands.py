"""One file that is to be moved in a soak: what its bytes are, what befalls it on purpose, and how it may end. Pure.

The bytes are slices of one block of chance bytes, so that gigabytes cost nothing to make and any two files differ.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import fastcrc

from penstock.model import ConflictPolicy

KIB, MIB = 1 << 10, 1 << 20
BLOCK_BYTES = 64 * MIB
SIZES = (
    (2, 0, 0), (58, 1, 16 * KIB), (22, 16 * KIB, 512 * KIB), (12, 64 * KIB, 2 * MIB), (4, 2 * MIB, 8 * MIB),
    (2, 9 * MIB, 24 * MIB),
)  # fmt: skip
"""Weight, least and most bytes: most files are small, many are middling, the last ones go in parts."""
RESTLESS_SIZES = (*SIZES, (100, 64 * KIB, 512 * KIB), (70, 512 * KIB, 4 * MIB), (30, 9 * MIB, 16 * MIB))
"""What is small is read in no time, and seldom changed meanwhile."""

MIDDLING = (64 * KIB, 8 * MIB)

DECADE_NS = 3652 * 86_400 * 10**9
MODIFIED_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


class Fate(StrEnum):
    """What befalls a file besides what befalls all of them."""

    PLAIN = "moved"
    KEPT = "target was there"
    MISSING = "no source"
    REFUSED = "condition does not hold"
    DENIED = "condition does not hold, its equal was there"  # asked for once more, with a wrong idea of it
    RESTLESS = "source does not rest meanwhile"
    CANCELED = "cancelled meanwhile"


class Unrest(StrEnum):
    """How a source does not rest. What a file only can is done to an object by another object."""

    REPLACED = "replaced by another"
    WRITTEN = "written in place"
    SHORTENED = "cut short and filled up again"
    LENGTHENED = "appended to"
    REMOVED = "removed and made anew"


FATES = (
    (71, Fate.PLAIN), (8, Fate.KEPT), (2, Fate.MISSING), (2, Fate.REFUSED), (2, Fate.DENIED), (6, Fate.RESTLESS),
    (9, Fate.CANCELED),
)  # fmt: skip


class Wrong(StrEnum):
    """What a soak looks for."""

    LOST = "lost"
    TORN = "torn"
    LEFT = "left behind"
    UNTRUE = "untrue answers"
    FOREIGN = "of others, touched"
    BENEATH = "written beneath a mount point"
    STUCK = "never ended"
    BROKEN = "waves and troubles that this program could not finish"
    GROWN = "memory or descriptors grew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that must not be."""

    wrong: Wrong
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some bytes of the block."""

    offset: int
    size_bytes: int


class Block:
    """The chance bytes that all files are cut from."""

    def __init__(self, seed: int) -> None:
        self._bytes = random.Random(seed).randbytes(BLOCK_BYTES)

    def cut(self, piece: Slice) -> bytes:
        """The bytes of a slice."""
        return self._bytes[piece.offset : piece.offset + piece.size_bytes]

    def choose(self, dice: random.Random, sizes: Sequence[tuple[int, int, int]] = SIZES) -> Slice:
        """Some slice, of a size by chance."""
        _, least, most = dice.choices(sizes, weights=[weight for weight, _, _ in sizes])[0]
        size_bytes = dice.randint(least, most)
        return Slice(offset=dice.randrange(BLOCK_BYTES - size_bytes), size_bytes=size_bytes)

    def another(self, piece: Slice, number: int, *, size_bytes: int) -> bytes:
        """So many bytes that are none of the slice, others for each number."""
        offset = (piece.offset + number * 1_000_003) % (BLOCK_BYTES - size_bytes)
        return self._bytes[offset : offset + size_bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One file. `earlier` is what the target held (None: nothing), `earlier_age_ns` how much younger that is than the source.

    `cancel_after_s` counts from when the wave was asked for.
    """

    name: str
    fate: Fate
    first: Slice
    unrest: Unrest | None
    earlier: Slice | None
    earlier_age_ns: int
    cancel_after_s: float

    @property
    def is_refused(self) -> bool:
        """Whether it is asked for with a Condition that does not hold."""
        return self.fate in {Fate.REFUSED, Fate.DENIED}

    @property
    def earlier_ns(self) -> int:
        """The time of what the target held; that of the source is MODIFIED_NS until it is changed."""
        return MODIFIED_NS + self.earlier_age_ns

    def is_kept(self, policy: ConflictPolicy) -> bool:
        """Whether what the target held stays: the source has to be strictly newer to replace it under KEEP_LATEST."""
        if self.earlier is None or policy is ConflictPolicy.OVERWRITE_EXISTING:
            return False
        return policy is ConflictPolicy.SKIP_THE_FILE or self.earlier_age_ns >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a target holds."""

    content: bytes
    modify_ns: int


class Past:
    """All that one source ever was. Whoever changes it says so beforehand."""

    def __init__(self, first: bytes) -> None:
        self._marks = {_mark(first)}
        self.was_gone = False

    def will_be(self, content: bytes | bytearray) -> None:
        """What it is about to be."""
        self._marks.add(_mark(content))

    def held(self, content: bytes) -> bool:
        """Whether it was that at some moment."""
        return _mark(content) in self._marks


def _mark(content: bytes | bytearray) -> tuple[int, int]:
    return len(content), int(fastcrc.crc64.xz(bytes(content)))


def chosen(block: Block, dice: random.Random, name: str, *, finest_ns: int = 1) -> Errand:
    """A file by chance, where times are told apart that differ by `finest_ns`."""
    fate = dice.choices([fate for _, fate in FATES], weights=[weight for weight, _ in FATES])[0]
    is_restless = fate is Fate.RESTLESS
    has_earlier = fate is Fate.KEPT or (fate is not Fate.PLAIN and dice.random() < 0.3)
    first = block.choose(dice, RESTLESS_SIZES if is_restless else SIZES)
    if fate is Fate.DENIED:
        return Errand(
            name=name, fate=fate, first=first, unrest=None, earlier=first, earlier_age_ns=0, cancel_after_s=0.0
        )
    decades = (-DECADE_NS, DECADE_NS)
    return Errand(
        name=name,
        fate=fate,
        first=first,
        unrest=dice.choice(list(Unrest)) if is_restless else None,
        earlier=block.choose(dice) if has_earlier else None,
        # What is changed meanwhile is newer than its first time, and its age against the target's has to be beyond doubt.
        earlier_age_ns=dice.choice(decades if is_restless else (decades[0], -finest_ns, 0, finest_ns, decades[1])),
        cancel_after_s=dice.uniform(0.0, dice.choice((0.5, 2.0, 15.0))),
    )


# ----------------------------------------------------------------------------------------------------------------- judging


def judge(
    block: Block, errand: Errand, item: Mapping[str, Any], found: Found | None, *, policy: ConflictPolicy, past: Past
) -> Finding | None:
    """What is wrong with one ended sub-task: `item` is what the API says, `found` what the target holds (None: nothing)."""
    status, reason = item["Status"], str(item["ErrorMsg"])
    what = f"{errand.fate}, {errand.unrest}" if errand.unrest else f"{errand.fate}"
    told = f"{errand.name} ({what}, {errand.first.size_bytes} bytes): {status} {reason!r}"
    earlier = None if errand.earlier is None else block.cut(errand.earlier)
    if status == "COMPLETE":
        return _judge_complete(block, errand, item, found, policy=policy, past=past, told=told)
    if (None if found is None else found.content) != earlier:
        kind = "absent" if found is None else f"{len(found.content)} bytes"
        whose = "the source's" if found and past.held(found.content) else "neither the source's nor the earlier ones"
        return Finding(wrong=Wrong.UNTRUE, words=f"{told}, but its target was changed: {kind}, {whose}")
    if status == "CANCELED" and errand.fate is Fate.CANCELED:
        return None
    if status == "FAILED" and reason.partition(":")[0] in _true_reasons(errand, policy, past):
        return None
    return Finding(wrong=Wrong.UNTRUE, words=told)


def _true_reasons(errand: Errand, policy: ConflictPolicy, past: Past) -> Sequence[str]:
    match errand.fate:
        case Fate.MISSING:
            return ("SourceNotFound",)
        case Fate.REFUSED | Fate.DENIED:
            return ("ConditionNotMet",)
        case Fate.RESTLESS:
            gone = ("SourceNotFound",) if past.was_gone else ()
            return gone if errand.is_kept(policy) else ("SourceChanged", *gone)
        case _:
            return ()


def _is_kept_in_doubt(item: Mapping[str, Any]) -> bool:
    """What an attempt that was killed published is kept by the next one, which finds another source: nothing was moved by that
    one, the numbers are the source's, and the note says what may have been."""
    note: str = item.get("Record", {}).get("Note", "")
    return item.get("ProgressStats", {}).get("ActualBytes") == 0 and "an earlier attempt" in note


def _judge_complete(
    block: Block, errand: Errand, item: Mapping[str, Any], found: Found | None, *, policy: ConflictPolicy, past: Past,
    told: str,
) -> Finding | None:  # fmt: skip
    keeps = errand.is_kept(policy)
    if errand.is_refused or (errand.fate is Fate.MISSING and not keeps):
        return Finding(wrong=Wrong.UNTRUE, words=told)
    if found is None:
        return Finding(wrong=Wrong.LOST, words=f"{told}, but the target is not there")
    if keeps and errand.earlier is not None:
        is_right, modify_ns = found.content == block.cut(errand.earlier), errand.earlier_ns
    else:
        is_right, modify_ns = past.held(found.content), MODIFIED_NS
    if not is_right:
        return Finding(wrong=Wrong.TORN, words=f"{told}, but the target holds {len(found.content)} other bytes")
    said = item.get("FileDetail", {}).get("Checksum", "")
    if not (keeps or _is_kept_in_doubt(item)) and said and said != f"crc64:{fastcrc.crc64.xz(found.content)}":
        return Finding(wrong=Wrong.UNTRUE, words=f"{told} with {said}, which is not that of the target")
    if item["Progress"] != 10_000:
        return Finding(wrong=Wrong.UNTRUE, words=f"{told} with progress {item['Progress']}")
    if found.modify_ns != modify_ns and (keeps or errand.unrest is None):
        return Finding(wrong=Wrong.UNTRUE, words=f"{told}, but its target's time is {found.modify_ns}, not {modify_ns}")
    return None
