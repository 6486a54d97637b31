"""One store, many threads: no answer ends up with another's caller."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from penstock.stores.base import ByteRange, Overwrite, Store
from tests.conformance.stores.driving import crc64, listed, noise, put, read
from tests.conformance.stores.shores import Shore

THREADS = 8
ROUNDS = 6


def test_eight_threads_share_one_store(store: Store) -> None:
    together = threading.Barrier(THREADS)

    def work(number: int) -> None:
        together.wait(60)
        for turn in range(ROUNDS):
            key, content = f"{number}/{turn}", noise(20_000 + number, seed=number * 100 + turn)
            put(store, key, content, metadata={"number": str(number)})
            info, got = read(store, key)
            assert got == content
            assert info.metadata["number"] == str(number)
            part = ByteRange(offset=turn * 10, length_bytes=1000)
            assert read(store, key, byte_range=part)[1] == content[turn * 10 : turn * 10 + 1000]
            with store.get(key) as stream:  # left early: its connection is closed, not handed to another
                stream.readinto(memoryview(bytearray(10)))
            if turn % 2:
                store.delete(key)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, number) for number in range(THREADS)]:
            done.result(60)
    assert listed(store) == sorted(f"{number}/{turn}" for number in range(THREADS) for turn in range(0, ROUNDS, 2))


def test_parts_go_up_in_parallel(shore: Shore, store: Store) -> None:
    size = shore.part_size_bytes
    content = noise(3 * size + 1)
    upload_id = store.initiate("object", metadata={})

    def send(number: int) -> object:
        piece = content[(number - 1) * size : number * size]
        return store.put_part("object", upload_id, number, [piece], crc64=crc64(piece))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, [4, 3, 2, 1]))
    parts = list(store.list_parts("object", upload_id))
    store.complete("object", upload_id, parts, precondition=Overwrite())
    assert read(store, "object")[1] == content
