"""CRC-64/XZ: of bytes (by fastcrc, which lets other threads run) and of what is put together from parts.

`combine` makes the checksum of A+B from those of A and B without the bytes. Appending n zero bytes to A multiplies its
remainder by x^(8n) in GF(2)[x] modulo the CRC's polynomial: a linear map, whose matrix is determined by that one power, so the
power is what is cached per length. Pure arithmetic, no I/O.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import fastcrc

_POLYNOMIAL = 0xC96C5795D7870F42  # ECMA-182, bits reflected: the top bit is x^0
_ONE = 1 << 63
EMPTY = 0
"""The checksum of no bytes."""


def update(data: bytes | bytearray | memoryview, crc: int = EMPTY) -> int:
    """The checksum of everything so far (`crc`) followed by `data`."""
    return fastcrc.crc64.xz(data, crc)


def of_pieces(pieces: Iterable[memoryview]) -> int:
    """The checksum of what these make together. Each piece is done with when the next one is asked for."""
    crc = EMPTY
    for piece in pieces:
        crc = update(piece, crc)
    return crc


def as_text(crc: int | None) -> str:
    """A checksum as FileDetail carries it; empty when it is not known."""
    return "" if crc is None else f"crc64:{crc}"


def combine(crc_a: int, crc_b: int, length_b_bytes: int) -> int:
    """The checksum of A+B."""
    return _multiply(_zeros(length_b_bytes), crc_a) ^ crc_b


def combine_all(parts: Iterable[tuple[int, int]]) -> int:
    """The checksum of parts in their order, given as (crc, length in bytes)."""
    crc = EMPTY
    for part_crc, length_bytes in parts:
        crc = combine(crc, part_crc, length_bytes)
    return crc


def _multiply(a: int, b: int) -> int:
    """a·b modulo the polynomial."""
    product = 0
    bit = _ONE
    while a:
        if a & bit:
            product ^= b
            a ^= bit
        bit >>= 1
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


@functools.lru_cache(maxsize=1024)  # a file has two lengths of parts: all but the last, and the last
def _zeros(count: int) -> int:
    """x^(8·count) modulo the polynomial."""
    power = _ONE
    square = _ONE >> 8
    while count:
        if count & 1:
            power = _multiply(square, power)
        square = _multiply(square, square)
        count >>= 1
    return power
