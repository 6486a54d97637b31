"""Do modification times survive their journey, whoever wrote them?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.stores.base import ObjectInfo
from penstock.transfer.mtime import ModifyTime, agree, metadata_of, of_file, of_object

S = 1_000_000_000
Y1972 = 63_072_000
Y2040 = 2_208_988_800
MODIFIED = 1_700_000_000 * S


def an_object(**metadata: str) -> ObjectInfo:
    return ObjectInfo(
        key="k",
        size_bytes=1,
        etag="e",
        last_modified_ns=MODIFIED,
        metadata={name.replace("_", "-"): value for name, value in metadata.items()},
    )


@pytest.mark.parametrize("ns", [0, 1, S, Y1972 * S, -1, -S, -(10**18), Y2040 * S + 123_456_789, 2**62])
def test_what_we_write_we_read_again(ns: int) -> None:
    info = ObjectInfo(key="k", size_bytes=1, etag="e", last_modified_ns=MODIFIED, metadata=metadata_of(ns))
    assert of_object(info) == ModifyTime(ns=ns, exact=True)
    assert set(info.metadata) == {"alihbr-sync-mtime", "penstock-mtime-ns"}


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_any_time_survives(ns: int) -> None:
    info = ObjectInfo(key="k", size_bytes=1, etag="e", last_modified_ns=0, metadata=metadata_of(ns))
    assert of_object(info).ns == ns


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        ("0", 0),
        ("1", S),
        (str(Y1972), Y1972 * S),
        ("1721167603", 1_721_167_603 * S),
        ("1721167603123", 1_721_167_603_123_000_000),
        ("1721167603123456", 1_721_167_603_123_456_000),
        ("1721167603123456789", 1_721_167_603_123_456_789),
        (str(Y2040), Y2040 * S),
        (str(Y2040 * 1000), Y2040 * S),
        ("-86400", -86400 * S),
        ("-1721167603123456789", -1_721_167_603_123_456_789),
        (" 7 ", 7 * S),
    ],
)
def test_foreign_writers_are_told_apart_by_magnitude(value: str, ns: int) -> None:
    assert of_object(an_object(alihbr_sync_mtime=value)).ns == ns


@pytest.mark.parametrize("ns", ["0", "1", "1000000000", str(Y1972 * S)])
def test_with_our_marker_it_is_always_nanoseconds(ns: str) -> None:
    assert of_object(an_object(alihbr_sync_mtime=ns, penstock_sub_task="s")).ns == int(ns)


def test_ours_is_read_first() -> None:
    assert of_object(an_object(alihbr_sync_mtime="5", penstock_mtime_ns="7")).ns == 7


@pytest.mark.parametrize("value", ["", "x", "1.5", "1e9", "9" * 19, "9" * 40, "0x10", "１２"])
def test_nonsense_counts_as_not_there(value: str) -> None:
    info = an_object(alihbr_sync_mtime=value, penstock_mtime_ns=value)
    assert of_object(info) == ModifyTime(ns=MODIFIED, exact=False)


def test_without_metadata_whole_seconds_are_compared() -> None:
    rounded = ModifyTime(ns=MODIFIED, exact=False)
    assert rounded.is_newer_than(of_file(MODIFIED - 1))
    assert not of_file(MODIFIED + S - 1).is_newer_than(rounded)
    assert of_file(MODIFIED + S).is_newer_than(rounded)
    assert not rounded.is_newer_than(of_file(MODIFIED + 5))
    assert of_file(MODIFIED + 1).is_newer_than(of_file(MODIFIED))
    assert not of_file(MODIFIED).is_newer_than(of_file(MODIFIED))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (5 * S, 5 * S, True),
        (5 * S, 5 * S + 999_999_999, True),  # one of them keeps seconds
        (5 * S, 6 * S, False),
        (5 * S + 123_000_000, 5 * S + 123_999_999, True),  # milliseconds
        (5 * S + 123_000_000, 5 * S + 124_999_999, False),
        (5 * S + 123_456_000, 5 * S + 123_456_789, True),  # microseconds
        (5 * S + 123_456_001, 5 * S + 123_457_900, False),
        (5 * S + 1, 5 * S + 1000, True),  # as a Condition has it
        (-1, 1, True),
        (-3 * S, -3 * S + 7, True),
    ],
)
def test_times_agree_with_as_many_digits_as_the_coarser_has(one: int, other: int, *, expected: bool) -> None:
    assert agree(one, other) is agree(other, one) is expected
