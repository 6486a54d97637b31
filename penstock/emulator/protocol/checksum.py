"""CRC-64/XZ the way OSS reports it, and how the CRC of two joined pieces follows from the CRCs of the pieces.

The emulator computes this for itself: it must be able to contradict the product's own checksums. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from fastcrc import crc64

_POLYNOMIAL = 0xC96C5795D7870F42  # of CRC-64/XZ, bits reversed
_WIDTH = 64
_Matrix = tuple[int, ...]  # column i is what bit i of a CRC register becomes


def crc64_xz(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """The CRC of `data` behind bytes whose CRC is `crc`."""
    return crc64.xz(data, crc)


def _apply(matrix: _Matrix, vector: int) -> int:
    result = 0
    for column in matrix:
        if vector & 1:
            result ^= column
        vector >>= 1
        if not vector:
            break
    return result


def _square(matrix: _Matrix) -> _Matrix:
    return tuple(_apply(matrix, column) for column in matrix)


@lru_cache(maxsize=1)
def _doublings() -> tuple[_Matrix, ...]:
    """Operators that append 2**n zero bytes to the message, n = 0..63."""
    one_bit: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(_WIDTH - 1)))
    operator = _square(_square(_square(one_bit)))
    operators = [operator]
    for _ in range(_WIDTH - 1):
        operator = _square(operator)
        operators.append(operator)
    return tuple(operators)


def combine(pieces: Iterable[tuple[int, int]]) -> int:
    """The CRC of a whole from the (crc, length in bytes) of its pieces in order; 0 for no pieces."""
    whole = 0
    for crc, length_bytes in pieces:
        for power, operator in enumerate(_doublings()):
            if length_bytes >> power & 1:
                whole = _apply(operator, whole)
        whole ^= crc
    return whole
