"""Do real files move between a real file system and a real bucket, and do cancels, drains and outages end as they should?"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.engine.options import EngineOptions, RetryOptions
from penstock.errors import FailureCode
from penstock.model import FINAL_SUB_TASK_STATUSES, SubTask, SubTaskStatus, TaskAction
from penstock.transfer.transfer import RESERVED_PREFIX
from tests.faults.stores.conftest import certificate, tls
from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.plant import LIMITS, MIB, Plant, open_plant, with_endpoint
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.strictproxy import StrictProxy
from tests.fixtures.tlsrelay import tls_before

__all__ = ["certificate", "tls"]

pytestmark = pytest.mark.anyio

HEARD_S = 2.0
BUSY_S = 6.0  # of a machine that others use; who does not hear waits for the store, which lets nothing more pass
QUICK = EngineOptions(retry=RetryOptions(waits_s=(0.1, 0.2, 0.3), attempts_max=50, canceling_wait_max_s=0.2))


async def test_small_and_large_files_move_both_ways(tmp_path: Path, emulator: EmulatorServer) -> None:
    async with open_plant(tmp_path, emulator, movers=2) as plant:
        up, down = await plant.stream(TaskAction.STREAM_EXPORT), await plant.stream(TaskAction.STREAM_IMPORT)
        sizes = {"empty": 0, "small": 1000, "edge": MIB, "large": 5 * MIB + 3}
        content = {name: plant.write(f"src/{name}", size, seed=size) for name, size in sizes.items()}
        exported = [await plant.file(up, f"src/{name}") for name in sizes]
        rows = [await plant.ended(one) for one in exported]
        assert [(row.status, row.progress) for row in rows] == [(SubTaskStatus.COMPLETE, 10000)] * 4
        assert {name: plant.object(f"src/{name}") for name in sizes} == content
        imported = [await plant.file(down, f"src/{name}", target=f"dst/{name}") for name in sizes]
        rows = [await plant.ended(one) for one in imported]
        assert [row.status for row in rows] == [SubTaskStatus.COMPLETE] * 4
        assert {name: (plant.root / "dst" / name).read_bytes() for name in sizes} == content
        assert next(row.detail.checksum for row in rows if row.detail).startswith("crc64:")
        await nothing_left(plant)


async def nothing_left(plant: Plant) -> None:
    """No helper file (once what is settled is tidied) and no unfinished upload."""

    async def tidy() -> bool | None:
        return not plant.helpers() or None

    await plant.until(tidy, otherwise="helper files are left")
    assert plant.uploads() == []


async def test_many_small_files_of_several_tasks(tmp_path: Path, emulator: EmulatorServer) -> None:
    async with open_plant(tmp_path, emulator, movers=2) as plant:
        streams = [await plant.stream(TaskAction.STREAM_EXPORT) for _ in range(3)]
        names = [f"d{number % 7}/f{number}" for number in range(150)]
        for number, name in enumerate(names):
            plant.write(name, number, seed=number)
        created = [await plant.file(streams[number % 3], name) for number, name in enumerate(names)]
        rows = [await plant.ended(one) for one in created]
        assert {row.status for row in rows} == {SubTaskStatus.COMPLETE}
        assert {row.attempt for row in rows} == {1}
        assert sorted(plant.keys()) == sorted(names)


async def test_a_missing_source_fails_for_good_with_its_reason(tmp_path: Path, emulator: EmulatorServer) -> None:
    async with open_plant(tmp_path, emulator) as plant:
        row = await plant.ended(await plant.file(await plant.stream(TaskAction.STREAM_EXPORT), "nowhere"))
        assert (row.status, row.error_code, row.attempt) == (SubTaskStatus.FAILED, "SourceNotFound", 1)


async def test_a_canceled_import_leaves_nothing_within_two_seconds(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint) as plant:
        plant.put("big", 16 * MIB)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=12 * MIB, trickle=True)
        sub_task = await plant.file(stream, "big")
        await asyncio.to_thread(proxy.wait_held)

        async def moving() -> bool:
            return (await plant.row(sub_task)).bytes_done > 0

        await plant.until(moving, otherwise="no progress was seen")
        watch = Stopwatch()
        await plant.cancel(stream, sub_task)
        row = await plant.ended(sub_task)
        assert watch.took_s() < HEARD_S + BUSY_S
        assert row.status is SubTaskStatus.CANCELED
        assert 0 < row.bytes_done < row.bytes_total
        assert os.listdir(plant.root) == []


async def test_a_canceled_export_leaves_no_upload_within_two_seconds(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint) as plant:
        plant.write("big", 8 * MIB)
        stream = await plant.stream(TaskAction.STREAM_EXPORT)
        proxy.hold(up_bytes=3 * MIB, trickle=True)
        sub_task = await plant.file(stream, "big")
        await asyncio.to_thread(proxy.wait_held)
        assert plant.uploads() == ["big"]
        watch = Stopwatch()
        await plant.cancel(stream, sub_task)
        proxy.release()  # the abort has to get through
        row = await plant.ended(sub_task)
        assert watch.took_s() < HEARD_S + BUSY_S
        assert row.status is SubTaskStatus.CANCELED
        assert plant.uploads() == []
        assert plant.keys() == []


@pytest.mark.parametrize("secure", ["plain", "tls"])
async def test_a_cancel_of_an_export_over_a_slow_network_ends_within_two_seconds(
    *,
    tmp_path: Path,
    emulator: EmulatorServer,
    proxy: HoldProxy,
    secure: str,
    tls: ssl.SSLContext,
    certificate: Path,
) -> None:
    """Who sends is waiting for the network nearly always; the store is well, and nobody may say otherwise."""
    limits = replace(LIMITS, transfer=replace(LIMITS.transfer, part_size_bytes=8 * MIB))  # no kernel buffers that much
    async with AsyncExitStack() as stack:
        endpoint = (
            proxy.endpoint if secure == "plain" else await stack.enter_async_context(tls_before(proxy.endpoint, tls))
        )
        plant = await stack.enter_async_context(
            open_plant(tmp_path, emulator, limits=limits, endpoint=endpoint, ca_file=str(certificate))
        )
        plant.write("big", 16 * MIB)
        stream = await plant.stream(TaskAction.STREAM_EXPORT)
        proxy.hold(up_bytes=MIB, trickle=True)
        sub_task = await plant.file(stream, "big")
        await asyncio.to_thread(proxy.wait_held)
        assert plant.uploads() == ["big"]
        watch = Stopwatch()
        await plant.cancel(stream, sub_task)

        async def canceled() -> bool:
            row = await plant.row(sub_task)
            assert (row.error_code, row.error_message) == ("", "")
            return row.status is SubTaskStatus.CANCELED

        await plant.until(canceled, otherwise="it is not canceled")
        assert watch.took_s() < HEARD_S + BUSY_S
        assert (plant.uploads(), plant.keys()) == ([], [])


async def test_a_cancel_waits_for_a_store_that_is_away_and_then_ends(tmp_path: Path) -> None:
    server = start_emulator(tmp_path / "emulator")
    try:
        async with open_plant(tmp_path, server, options=QUICK) as plant:
            plant.write("a", 100)
            stream = await plant.stream(TaskAction.STREAM_EXPORT)
            server.kill()
            sub_task = await plant.file(stream, "a")

            async def failing() -> bool:
                return bool((await plant.row(sub_task)).error_message)

            await plant.until(failing, otherwise="no failure was seen")
            await plant.cancel(stream, sub_task)

            async def trying() -> bool:
                row = await plant.row(sub_task)
                return row.status is SubTaskStatus.CANCELING and row.attempt > 3

            await plant.until(trying, otherwise="the cancel is not tried again")
            assert (await plant.row(sub_task)).error_code == "StoreUnavailable"
            server = start_emulator(tmp_path / "emulator")
            plant.registry = with_endpoint(plant.registry, server.endpoint)
            plant.engine.registry_changed()
            assert (await plant.ended(sub_task)).status is SubTaskStatus.CANCELED
    finally:
        server.stop()


async def test_an_outage_of_the_store_costs_attempts_and_no_file(tmp_path: Path) -> None:
    server = start_emulator(tmp_path / "emulator")
    try:
        async with open_plant(tmp_path, server, options=QUICK) as plant:
            names = [f"f{number}" for number in range(10)]
            content = {name: plant.write(name, 1000, seed=number) for number, name in enumerate(names)}
            stream = await plant.stream(TaskAction.STREAM_EXPORT)
            server.kill()
            created = [await plant.file(stream, name) for name in names]

            async def failing() -> bool:
                return all([(await plant.row(one)).error_code == "StoreUnavailable" for one in created])

            await plant.until(failing, otherwise="not all have met the outage")
            server = start_emulator(tmp_path / "emulator")
            plant.registry = with_endpoint(plant.registry, server.endpoint)
            plant.emulator = server
            plant.engine.registry_changed()
            rows = [await plant.ended(one) for one in created]
            assert {(row.status, row.error_message) for row in rows} == {(SubTaskStatus.COMPLETE, "")}
            assert min(row.attempt for row in rows) > 1
            assert {name: plant.object(name) for name in names} == content
    finally:
        server.stop()


async def test_an_outage_that_outlasts_the_deadline_ends_failed_and_leaves_nothing(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    options = EngineOptions(retry=RetryOptions(waits_s=(0.05,), attempts_max=1, deadline_s=1))
    limits = replace(LIMITS, transfer=replace(LIMITS.transfer, part_tries=1))
    async with open_plant(tmp_path, emulator, options=options, limits=limits, endpoint=proxy.endpoint) as plant:
        plant.put("big", 8 * MIB)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=5 * MIB)
        sub_task = await plant.file(stream, "big")
        seen: set[str] = set()

        async def cut() -> bool:
            seen.update(name for name in os.listdir(plant.root) if name.startswith(RESERVED_PREFIX))
            if proxy.held:
                proxy.cut()
            return (await plant.row(sub_task)).status is SubTaskStatus.FAILED

        await plant.until(cut, otherwise="it never gave up")
        assert seen
        row = await plant.row(sub_task)
        assert (row.error_code, row.attempt > 2) == ("DeadlineExceeded", True)
        assert "the last attempt ended with StoreUnavailable" in row.error_message
        assert os.listdir(plant.root) == []


async def test_a_mover_killed_in_the_middle_of_a_file_loses_nothing(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, options=QUICK) as plant:
        content = plant.put("big", 8 * MIB)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=4 * MIB)
        sub_task = await plant.file(stream, "big")

        async def in_the_middle() -> bool:
            return (await plant.row(sub_task)).attempt == 2 and proxy.held > 0 and bool(plant.helpers())

        await plant.until(in_the_middle, otherwise="the large file did not begin")
        (pid,) = plant.mover_pids()
        os.kill(pid, signal.SIGKILL)

        async def suspect() -> bool:
            return (await plant.row(sub_task)).error_code == "MoverDied"

        await plant.until(suspect, otherwise="the death was not noticed")
        proxy.release()
        row = await plant.ended(sub_task)
        assert (row.status, row.error_message) == (SubTaskStatus.COMPLETE, "")
        assert (plant.root / "big").read_bytes() == content
        await nothing_left(plant)


async def test_a_mover_that_stands_still_is_killed_and_a_cancel_ends_elsewhere(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, options=QUICK, silence_s=1.5) as plant:
        content = {name: plant.put(name, 1000, seed=seed) for seed, name in enumerate(["begun", "canceled"])}
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=0)
        begun, canceled = [await plant.file(stream, name) for name in content]
        await asyncio.to_thread(proxy.wait_held, 2)
        (pid,) = plant.mover_pids()
        os.kill(pid, signal.SIGSTOP)
        unstarted = await plant.file(stream, "begun", target="unstarted")
        await plant.cancel(stream, canceled)

        async def handed_over() -> bool:
            return len(plant.engine.flights) == 3

        await plant.until(handed_over, otherwise="the stopped mover was given nothing")

        async def blamed() -> bool:
            return (await plant.row(begun)).error_code == "MoverDied"

        await plant.until(blamed, otherwise="the silent mover lives")
        assert "no sign of life" in (await plant.row(begun)).error_message
        proxy.release()
        assert (await plant.ended(canceled)).status is SubTaskStatus.CANCELED
        rows = [await plant.ended(one) for one in (begun, unstarted)]
        assert [row.status for row in rows] == [SubTaskStatus.COMPLETE] * 2
        assert (plant.root / "unstarted").read_bytes() == (plant.root / "begun").read_bytes() == content["begun"]
        assert pid not in plant.mover_pids()
        await nothing_left(plant)


async def test_a_mover_that_only_waits_for_its_store_is_not_taken_for_silent(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, silence_s=2.5) as plant:
        plant.put("a", 1000)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=0)
        sub_task = await plant.file(stream, "a")
        await asyncio.to_thread(proxy.wait_held)
        (pid,) = plant.mover_pids()
        end = time.monotonic() + 5.5

        async def long_enough() -> bool:
            return time.monotonic() > end

        await plant.until(long_enough, otherwise="time stands still")
        assert plant.mover_pids() == [pid]
        proxy.release()
        row = await plant.ended(sub_task)
        assert (row.status, row.attempt) == (SubTaskStatus.COMPLETE, 1)


async def test_signals_that_go_to_everybody_leave_movers_alone(tmp_path: Path, emulator: EmulatorServer) -> None:
    async with open_plant(tmp_path, emulator) as plant:

        async def up() -> list[int]:
            return plant.mover_pids() if len(plant.executor.movers()) == 2 else []

        (pid,) = await plant.until(up, otherwise="no mover came up")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert os.getsid(pid) == pid
        plant.write("a", 10)
        row = await plant.ended(await plant.file(await plant.stream(TaskAction.STREAM_EXPORT), "a"))
        assert row.status is SubTaskStatus.COMPLETE
        assert plant.mover_pids() == [pid]


def born_with(pid: int) -> tuple[bytes, bytes]:
    """A process's environment and command line at its start."""
    return Path(f"/proc/{pid}/environ").read_bytes(), Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_a_mover_is_born_without_secrets(tmp_path: Path, emulator: EmulatorServer) -> None:
    async with open_plant(tmp_path, emulator) as plant:

        async def up() -> list[int]:
            return plant.mover_pids()

        (pid,) = await plant.until(up, otherwise="no mover came up")
        environment, command = born_with(pid)
        assert emulator.access_key_secret.encode() not in environment + command
        names = {line.split(b"=")[0] for line in environment.split(b"\0") if line}
        assert names == {b"PYTHONPATH", b"PYTHONSAFEPATH", b"MALLOC_ARENA_MAX", b"MALLOC_MMAP_THRESHOLD_", b"LC_ALL"}


async def test_of_large_files_of_one_task_all_move_though_their_bucket_takes_few_requests_at_once(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    count = 10
    transfer = replace(
        LIMITS.transfer, parts_in_flight=4, part_size_bytes=MIB // 4, small_file_max_bytes=MIB // 4
    )  # as many parts as requests that a bucket gets at first
    limits = replace(LIMITS, large_files=2 * count, transfer=transfer)  # one task has half of the places
    with StrictProxy(emulator.endpoint, linger_s=0.1) as proxy:
        async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, limits=limits) as plant:
            for number in range(count):
                plant.put(f"big{number}", 4 * MIB, seed=number)
            stream = await plant.stream(TaskAction.STREAM_IMPORT)
            sub_tasks = [await plant.file(stream, f"big{number}") for number in range(count)]

            async def moving() -> list[SubTask] | None:
                rows = [await plant.row(one) for one in sub_tasks]
                has_begun = all(row.bytes_done for row in rows)
                return rows if has_begun or any(row.status in FINAL_SUB_TASK_STATUSES for row in rows) else None

            rows = await plant.until(moving, otherwise="they do not move")
            assert {row.status for row in rows} == {SubTaskStatus.RUNNING}
            assert [row.error_message for row in rows] == [""] * count
            ended = [await plant.ended(one) for one in sub_tasks]
            assert {row.status for row in ended} == {SubTaskStatus.COMPLETE}


async def test_a_drain_hands_large_files_back_and_they_go_on_later(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    bucket = emulator.bucket()
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, buckets=(bucket,)) as plant:
        content = plant.put("big", 8 * MIB)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=4 * MIB, trickle=True)
        sub_task = await plant.file(stream, "big")
        await asyncio.to_thread(proxy.wait_held)
        watch = Stopwatch()
        await plant.engine.drain(deadline_s=25)
        assert watch.took_s() < 10.0
        row = await plant.row(sub_task)
        assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, FailureCode.WAITING_FOR_TURN)
    async with open_plant(tmp_path, emulator, buckets=(bucket,)) as plant:
        row = await plant.ended(sub_task)
        assert (row.status, row.error_message) == (SubTaskStatus.COMPLETE, "")
        assert (plant.root / "big").read_bytes() == content
        await nothing_left(plant)


async def test_a_drain_that_takes_too_long_is_ended_and_costs_nothing(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    bucket = emulator.bucket()
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, buckets=(bucket,)) as plant:
        plant.put("small", 1000)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=0)
        sub_task = await plant.file(stream, "small")
        await asyncio.to_thread(proxy.wait_held)
        await plant.engine.drain(deadline_s=0.3)
        assert plant.mover_pids() == []
        row = await plant.row(sub_task)
        assert (row.status, row.error_message) == (SubTaskStatus.RUNNING, "")
    async with open_plant(tmp_path, emulator, buckets=(bucket,)) as plant:
        assert (await plant.ended(sub_task)).status is SubTaskStatus.COMPLETE


async def test_a_file_that_keeps_killing_movers_ends_failed_and_leaves_nothing(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    options = EngineOptions(retry=RetryOptions(waits_s=(0.05,), attempts_max=2))
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint, options=options) as plant:
        plant.put("poison", 8 * MIB)
        stream = await plant.stream(TaskAction.STREAM_IMPORT)
        proxy.hold(down_bytes=6 * MIB)
        sub_task = await plant.file(stream, "poison")
        killed: list[int] = []
        claim = 1  # the first finds out that the file is large and hands it back

        async def killing() -> bool:
            """A mover that is killed before it has begun the file costs no attempt: there may be more deaths than attempts."""
            nonlocal claim
            row = await plant.row(sub_task)
            if proxy.held and row.attempt > claim:
                begun = [flight.mover for flight in plant.engine.flights if flight.mover]
                for seat in plant.executor._all():
                    if seat.process is not None and seat.process.name in begun and seat.process.is_ready:
                        claim = row.attempt
                        killed.append(seat.process.process_id)
                        os.kill(seat.process.process_id, signal.SIGKILL)
                        proxy.cut()
            return row.status is SubTaskStatus.FAILED

        await plant.until(killing, otherwise="it never gave up")
        row = await plant.row(sub_task)
        assert row.error_code == "MoverDied"
        assert "killed by SIGKILL (the last of 2 attempts)" in row.error_message
        assert len(set(killed)) >= 2
        assert os.listdir(plant.root) == []
        proxy.release()
        plant.write("good", 10)
        row = await plant.ended(await plant.file(await plant.stream(TaskAction.STREAM_EXPORT), "good"))
        assert row.status is SubTaskStatus.COMPLETE
