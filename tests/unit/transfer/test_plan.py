"""Do parts cover a file exactly, within every limit of the store?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import FailureCode, TransferError
from penstock.stores.base import OSS_LIMITS, S3_LIMITS, Limits
from penstock.transfer.plan import IMPORT_PARTS_MAX, Plan, plan_export, plan_import

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40


@pytest.mark.parametrize(
    ("size", "wanted", "limits", "part_size", "count"),
    [
        (0, 16 * MIB, OSS_LIMITS, 16 * MIB, 0),
        (1, 16 * MIB, OSS_LIMITS, 16 * MIB, 1),
        (16 * MIB, 16 * MIB, OSS_LIMITS, 16 * MIB, 1),
        (16 * MIB + 1, 16 * MIB, OSS_LIMITS, 16 * MIB, 2),
        (GIB, 1, OSS_LIMITS, MIB, 1024),  # 100 KiB would need more than 10,000 parts
        (20 * MIB, 1 * MIB, S3_LIMITS, 5 * MIB, 4),
        (156 * GIB, 16 * MIB, OSS_LIMITS, 16 * MIB, 9984),
        (TIB, 16 * MIB, OSS_LIMITS, 105 * MIB, 9987),
        (5 * TIB, 16 * MIB, S3_LIMITS, 525 * MIB, 9987),
        (48_800 * GIB, 16 * MIB, OSS_LIMITS, 4998 * MIB, 9999),
        (20 * GIB, 10 * GIB, OSS_LIMITS, 5 * GIB, 4),
    ],
)
def test_table(size: int, wanted: int, limits: Limits, part_size: int, count: int) -> None:
    plan = plan_export(size, wanted, limits)
    assert (plan.part_size_bytes, plan.count) == (part_size, count)


@given(
    st.integers(0, OSS_LIMITS.object_size_max_bytes), st.integers(1, 8 * GIB), st.sampled_from([OSS_LIMITS, S3_LIMITS])
)
def test_export_plans_keep_every_limit(size: int, wanted: int, limits: Limits) -> None:
    if size > limits.object_size_max_bytes:
        with pytest.raises(TransferError) as caught:
            plan_export(size, wanted, limits)
        assert caught.value.code is FailureCode.FILE_TOO_LARGE
        return
    plan = plan_export(size, wanted, limits)
    assert plan.count <= limits.part_count_max
    assert limits.part_size_min_bytes <= plan.part_size_bytes <= limits.part_size_max_bytes
    _check_cover(plan, size)


@given(st.integers(0, 100 * TIB), st.integers(1, GIB))
def test_import_plans_cover_the_object(size: int, wanted: int) -> None:
    plan = plan_import(size, wanted)
    assert plan.count <= IMPORT_PARTS_MAX
    _check_cover(plan, size)


def _check_cover(plan: Plan, size: int) -> None:
    if plan.count == 0:
        assert size == 0
        return
    first, last = plan.part(1), plan.part(plan.count)
    assert first.offset == 0
    assert last.offset + last.length_bytes == size
    assert 0 < last.length_bytes <= plan.part_size_bytes
    if plan.count > 1:
        assert first.length_bytes == plan.part_size_bytes
        assert plan.part(2).offset == first.length_bytes


@given(st.integers(0, 5000), st.integers(1, 700))
def test_parts_follow_each_other(size: int, wanted: int) -> None:
    at = 0
    for number, part in enumerate(plan_import(size, wanted).parts(), start=1):
        assert (part.number, part.offset) == (number, at)
        assert part.length_bytes > 0
        at += part.length_bytes
    assert at == size


def test_a_file_that_no_parts_hold_is_refused() -> None:
    limits = Limits(
        part_size_min_bytes=1,
        part_size_max_bytes=10,
        part_count_max=3,
        put_size_max_bytes=10,
        object_size_max_bytes=100,
    )
    assert plan_export(30, 1, limits).count == 3
    with pytest.raises(TransferError) as caught:
        plan_export(31, 1, limits)
    assert caught.value.code is FailureCode.FILE_TOO_LARGE
