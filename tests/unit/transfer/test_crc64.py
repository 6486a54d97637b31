"""Is the checksum of a whole what its parts say?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.transfer import crc64


def test_the_published_check_value() -> None:
    assert crc64.update(b"123456789") == 0x995DC9BBDF1939FA
    assert crc64.update(b"") == crc64.EMPTY


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_combining_equals_computing(a: bytes, b: bytes) -> None:
    assert crc64.combine(crc64.update(a), crc64.update(b), len(b)) == crc64.update(a + b)


@given(st.lists(st.binary(max_size=200), max_size=12))
def test_combining_many_equals_computing(parts: list[bytes]) -> None:
    told = crc64.combine_all((crc64.update(part), len(part)) for part in parts)
    assert told == crc64.update(b"".join(parts))


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=300))
def test_updating_goes_on_where_it_ended(data: bytes, cut: int) -> None:
    assert crc64.update(data[cut:], crc64.update(data[:cut])) == crc64.update(data)


def test_lengths_beyond_memory_combine_associatively() -> None:
    a, b, c = 0x0123456789ABCDEF, 0xFEDCBA9876543210, 0x1111222233334444
    one, other = 5 << 30, (48_800 << 30) - 7
    left = crc64.combine(crc64.combine(a, b, one), c, other)
    right = crc64.combine(a, crc64.combine(b, c, other), one + other)
    assert left == right


def test_order_matters() -> None:
    a, b = crc64.update(b"first"), crc64.update(b"other")
    assert crc64.combine(a, b, 5) != crc64.combine(b, a, 5)
