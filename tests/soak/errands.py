"""One file that is to be moved in a soak: what its bytes are, what befalls it on purpose, and how it may end. Pure.

The bytes are slices of one block of chance bytes, so that gigabytes cost nothing to make and any two files differ.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import fastcrc

KIB, MIB = 1 << 10, 1 << 20
BLOCK_BYTES = 64 * MIB
SIZES = ((2, 0, 0), (68, 1, 16 * KIB), (24, 16 * KIB, 512 * KIB), (4, 512 * KIB, 8 * MIB), (2, 9 * MIB, 24 * MIB))
"""Weight, least and most bytes: most files are small, the last ones go in parts."""


class Fate(StrEnum):
    """What befalls a file besides what befalls all of them."""

    PLAIN = "moved"
    KEPT = "target was there"
    MISSING = "no source"
    REFUSED = "condition does not hold"
    RESTLESS = "source is replaced meanwhile"
    CANCELED = "cancelled meanwhile"


FATES = (
    (80, Fate.PLAIN), (6, Fate.KEPT), (2, Fate.MISSING), (2, Fate.REFUSED), (3, Fate.RESTLESS), (7, Fate.CANCELED)
)  # fmt: skip
TRUE_REASONS = {
    Fate.MISSING: "SourceNotFound", Fate.REFUSED: "ConditionNotMet", Fate.RESTLESS: "SourceChanged"
}  # fmt: skip


class Wrong(StrEnum):
    """What a soak looks for."""

    LOST = "lost"
    TORN = "torn"
    LEFT = "left behind"
    UNTRUE = "untrue answers"
    FOREIGN = "of others, touched"
    STUCK = "never ended"
    BROKEN = "waves that this program could not finish"
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

    def choose(self, dice: random.Random, *, size_bytes: int | None = None) -> Slice:
        """Some slice, of a size by chance where none is given."""
        if size_bytes is None:
            _, least, most = dice.choices(SIZES, weights=[weight for weight, _, _ in SIZES])[0]
            size_bytes = dice.randint(least, most)
        return Slice(offset=dice.randrange(BLOCK_BYTES - size_bytes), size_bytes=size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One file. `second` is what a restless source is replaced by, `earlier` what the target held (None: nothing).

    `cancel_after_s` counts from when the wave was asked for.
    """

    name: str
    fate: Fate
    first: Slice
    second: Slice | None
    earlier: Slice | None
    cancel_after_s: float


def chosen(block: Block, dice: random.Random, name: str) -> Errand:
    """A file by chance."""
    fate = dice.choices([fate for _, fate in FATES], weights=[weight for weight, _ in FATES])[0]
    first = block.choose(dice)
    has_earlier = fate is Fate.KEPT or (fate is not Fate.PLAIN and dice.random() < 0.3)
    return Errand(
        name=name,
        fate=fate,
        first=first,
        second=block.choose(dice, size_bytes=first.size_bytes) if fate is Fate.RESTLESS else None,
        earlier=block.choose(dice) if has_earlier else None,
        cancel_after_s=dice.uniform(0.0, 2.0),
    )


def judge(block: Block, errand: Errand, item: Mapping[str, Any], found: bytes | None, *, skips: bool) -> Finding | None:
    """What is wrong with one ended sub-task: `item` is what the API says, `found` what the target holds (None: nothing).

    `skips`: the stream keeps targets that are there.
    """
    status, reason = item["Status"], str(item["ErrorMsg"])
    told = f"{errand.name} ({errand.fate}, {errand.first.size_bytes} bytes): {status} {reason!r}"
    earlier = None if errand.earlier is None else block.cut(errand.earlier)
    if status == "COMPLETE":
        return _judge_complete(block, errand, item, found, earlier, skips=skips, told=told)
    if found != earlier:
        kind = "absent" if found is None else f"{len(found)} bytes"
        what = "the source's" if found == block.cut(errand.first) else "neither the source's nor the earlier ones"
        return Finding(wrong=Wrong.UNTRUE, words=f"{told}, but its target was changed: {kind}, {what}")
    if status == "CANCELED" and errand.fate is Fate.CANCELED:
        return None
    keeps = skips and errand.earlier is not None
    if status == "FAILED" and reason.partition(":")[0] == TRUE_REASONS.get(errand.fate) and not (
        keeps and errand.fate is Fate.RESTLESS
    ):  # fmt: skip
        return None
    return Finding(wrong=Wrong.UNTRUE, words=told)


def _judge_complete(
    block: Block, errand: Errand, item: Mapping[str, Any], found: bytes | None, earlier: bytes | None, *, skips: bool,
    told: str,
) -> Finding | None:  # fmt: skip
    keeps = skips and earlier is not None
    if errand.fate in {Fate.MISSING, Fate.REFUSED} and not keeps:
        return Finding(wrong=Wrong.UNTRUE, words=told)
    if found is None:
        return Finding(wrong=Wrong.LOST, words=f"{told}, but the target is not there")
    wanted = [earlier] if keeps else [block.cut(one) for one in (errand.first, errand.second) if one is not None]
    if found not in wanted:
        return Finding(wrong=Wrong.TORN, words=f"{told}, but the target holds {len(found)} other bytes")
    said = item.get("FileDetail", {}).get("Checksum", "")
    if not keeps and said and said != f"crc64:{fastcrc.crc64.xz(found)}":
        return Finding(wrong=Wrong.UNTRUE, words=f"{told} with {said}, which is not that of the target")
    if item["Progress"] != 10_000:
        return Finding(wrong=Wrong.UNTRUE, words=f"{told} with progress {item['Progress']}")
    return None
