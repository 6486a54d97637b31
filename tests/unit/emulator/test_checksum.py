"""Does the emulator know CRC-64/XZ, and does the CRC of a whole follow from its pieces?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.emulator.protocol.checksum import combine, crc64_xz


def bitwise(data: bytes) -> int:
    """CRC-64/XZ by its definition, one bit at a time."""
    register = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xC96C5795D7870F42 if register & 1 else 0)
    return register ^ 0xFFFFFFFFFFFFFFFF


def test_the_check_value_of_the_catalogue() -> None:
    assert crc64_xz(b"123456789") == 0x995DC9BBDF1939FA == bitwise(b"123456789")


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_pieces_combine_to_the_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert combine((bitwise(piece), len(piece)) for piece in pieces) == bitwise(whole) == crc64_xz(whole)


def test_pieces_longer_than_the_matrices_first_powers() -> None:
    first, second = bytes(range(256)) * 700, b"\x00" * 123_457 + b"end"
    assert combine([(crc64_xz(first), len(first)), (crc64_xz(second), len(second))]) == crc64_xz(first + second)


def test_a_continued_crc_is_the_whole_one() -> None:
    assert crc64_xz(b"6789", crc64_xz(b"12345")) == crc64_xz(b"123456789")
