"""Does an export keep to its conflict policy when others write the same key at the same instant?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.model import ConflictPolicy
from tests.faults.races.buckets import Address, address_of
from tests.faults.races.conftest import RACES, Score
from tests.faults.races.exportarena import (
    LARGE,
    SMALL,
    VERSIONINGS,
    Arena,
    raced_client,
    raced_export,
)
from tests.fixtures.emulator import EmulatorServer

FEW = 24
SHARES = 2 * len(ConflictPolicy) * len(VERSIONINGS)  # small and large
OVERWRITE, SKIP, LATEST = ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST
ALL = [(policy, bucket, content) for policy in ConflictPolicy for bucket in VERSIONINGS for content in (SMALL, LARGE)]
"""What `make races` runs; a few of them take a moment."""


def kinds(*few: tuple[ConflictPolicy, str, bytes]) -> pytest.MarkDecorator:
    """Policy, bucket and contents: all there are in `make races`, else these."""
    names = {SMALL: "small", LARGE: "large"}
    chosen = ALL if RACES else few
    ids = [f"{policy}-{bucket}-{names[content]}" for policy, bucket, content in chosen]
    return pytest.mark.parametrize(("policy", "bucket", "content"), chosen, ids=ids)


@pytest.fixture(scope="module")
def addresses(emulator: EmulatorServer) -> Mapping[str, Address]:
    """Three buckets of the emulator."""
    return {name: address_of(emulator, versioning) for name, versioning in VERSIONINGS.items()}


@kinds((SKIP, "plain", SMALL), (SKIP, "versioned", SMALL), (SKIP, "versioned", LARGE), (SKIP, "suspended", SMALL))
def test_against_another_client(
    arena: Arena, policy: ConflictPolicy, bucket: str, content: bytes, score: Score
) -> None:
    for _ in score.rounds(FEW, share=SHARES):
        score.count(raced_client(arena, bucket, policy, content))
    score.require("put, ours first", *(["put, theirs first"] if bucket != "suspended" else []))


@kinds((SKIP, "plain", SMALL), (LATEST, "versioned", SMALL), (OVERWRITE, "plain", LARGE))
def test_against_another_export(
    arena: Arena, policy: ConflictPolicy, bucket: str, content: bytes, score: Score
) -> None:
    for _ in score.rounds(FEW, share=SHARES):
        score.count(raced_export(arena, bucket, policy, content))
    if (policy, bucket) != (SKIP, "suspended"):  # there one replaces the other, whoever is first
        assert len(score.counts) > 1, f"always the same one was first: {score}"
