"""Does the vault keep whole bodies only, and a file as long as somebody reads it?"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from penstock.emulator.protocol.checksum import crc64_xz
from penstock.emulator.storage import vault as vaults
from penstock.emulator.storage.vault import BLOCK_BYTES, INLINE_MAX_BYTES, Blob, Vault
from tests.fixtures.descriptors import opened_in
from tests.fixtures.waiting import seen_until

pytestmark = pytest.mark.anyio
TOO_LARGE = OverflowError("too large")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    numbers = itertools.count()
    opened = Vault(tmp_path, new_id=lambda: f"{next(numbers):032X}")
    opened.open(set())
    yield opened
    await asyncio.to_thread(opened.close)


async def body(*chunks: bytes, fails: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if fails:
        raise ConnectionError("the client hung up")


async def take(vault: Vault, *chunks: bytes, fails: bool = False, size_max: int = 10**9) -> Blob:
    return await vault.take_in(body(*chunks, fails=fails), size_max_bytes=size_max, too_large=TOO_LARGE)


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*/*"))


def cut_short(root: Path, blob: str) -> None:
    (path,) = root.glob(f"*/{blob}")
    path.write_bytes(b"x" * BLOCK_BYTES)


async def opened_to_write(pipe: Path) -> int:
    """A descriptor, as soon as somebody opens the other end."""
    found: list[int] = []

    def try_it() -> bool:
        with contextlib.suppress(OSError):  # nobody does yet
            found.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        return bool(found)

    await until(try_it)
    return found[0]


async def until(condition: Callable[[], bool]) -> None:
    await seen_until(condition, 30, "it did not happen")


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [1],
        [INLINE_MAX_BYTES],
        [INLINE_MAX_BYTES, 1],
        [INLINE_MAX_BYTES + 1],
        [BLOCK_BYTES, BLOCK_BYTES, 7],
        [3 * BLOCK_BYTES + 5],
        [700] * 3000,
    ],
)
async def test_a_body_comes_back_with_its_checksums(vault: Vault, tmp_path: Path, sizes: list[int]) -> None:
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    whole = b"".join(chunks)
    blob = await take(vault, *chunks)
    assert (blob.size_bytes, blob.md5, blob.crc64) == (len(whole), hashlib.md5(whole).digest(), crc64_xz(whole))
    assert (blob.inline is None) == (len(whole) > INLINE_MAX_BYTES)
    if blob.inline is not None:
        assert blob.inline == whole
        assert files(tmp_path) == []
        return
    assert files(tmp_path) == [blob.id]
    for offset, length in [(0, len(whole)), (1, len(whole) - 2), (len(whole) - 1, 1), (5, 0)]:
        found = b"".join([block async for block in vault.read(blob.id, offset, length)])
        assert found == whole[offset : offset + length]


async def test_a_body_that_breaks_off_leaves_nothing(vault: Vault, tmp_path: Path) -> None:
    for size in (10, INLINE_MAX_BYTES + 1, 3 * BLOCK_BYTES):
        with pytest.raises(ConnectionError):
            await take(vault, b"x" * size, b"y" * BLOCK_BYTES, b"z" * size, fails=True)
    assert files(tmp_path) == []


async def test_a_body_that_is_too_large_leaves_nothing(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        await take(vault, *[b"x" * BLOCK_BYTES] * 5, size_max=4 * BLOCK_BYTES)
    assert files(tmp_path) == []


async def test_a_cancelled_body_leaves_nothing(vault: Vault, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x" * BLOCK_BYTES
        await asyncio.Event().wait()

    task = asyncio.ensure_future(vault.take_in(endless(), size_max_bytes=10**9, too_large=TOO_LARGE))
    await until(lambda: bool(files(tmp_path)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not files(tmp_path))


async def test_nor_does_one_that_is_cancelled_while_its_file_is_made(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(vaults._Writer):
        def __init__(self, path: Path) -> None:
            begun.set()
            assert go_on.wait(60)
            super().__init__(path)

    monkeypatch.setattr(vaults, "_Writer", Slow)
    taking = asyncio.ensure_future(take(vault, b"x" * BLOCK_BYTES))
    await until(begun.is_set)
    taking.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await asyncio.to_thread(vault.close)  # its threads have ended
    assert (files(tmp_path), opened_in(tmp_path)) == ([], [])


async def test_reading_that_is_cancelled_while_the_file_is_opened_leaves_it_closed(
    vault: Vault, tmp_path: Path
) -> None:
    """Opening a pipe takes until somebody writes to it."""
    pipe = tmp_path / "AA" / ("A" * 32)
    os.mkfifo(pipe)
    reading = asyncio.ensure_future(anext(vault.read(pipe.name, 0, 1)))
    writer = await opened_to_write(pipe)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    os.close(writer)
    await asyncio.to_thread(vault.close)
    await until(lambda: not opened_in(tmp_path))


async def test_a_doomed_file_stays_while_it_may_be_read(vault: Vault, tmp_path: Path) -> None:
    blob = await take(vault, b"x" * 3 * BLOCK_BYTES)
    earlier, other = vault.begin_reading(), vault.begin_reading()
    vault.doom([blob.id])
    later = vault.begin_reading()
    vault.end_reading(earlier)
    assert len(b"".join([block async for block in vault.read(blob.id, 0, 3 * BLOCK_BYTES)])) == 3 * BLOCK_BYTES
    assert files(tmp_path) == [blob.id]
    vault.end_reading(other)
    await until(lambda: not files(tmp_path))
    vault.end_reading(later)


async def test_a_short_file_is_an_error_and_not_a_short_answer(vault: Vault, tmp_path: Path) -> None:
    blob = await take(vault, b"x" * 2 * BLOCK_BYTES)
    cut_short(tmp_path, blob.id)
    with pytest.raises(OSError, match="shorter"):
        _ = [block async for block in vault.read(blob.id, 0, 2 * BLOCK_BYTES)]


async def test_opening_removes_what_nobody_names(tmp_path: Path) -> None:
    first = Vault(tmp_path, new_id=iter(["AA" * 16, "BB" * 16]).__next__)
    first.open(set())
    kept, orphan = await take(first, b"x" * BLOCK_BYTES), await take(first, b"y" * BLOCK_BYTES)
    await asyncio.to_thread(first.close)
    assert files(tmp_path) == [kept.id, orphan.id]
    second = Vault(tmp_path, new_id=lambda: "")
    second.open({kept.id})
    await asyncio.to_thread(second.close)
    assert files(tmp_path) == [kept.id]
