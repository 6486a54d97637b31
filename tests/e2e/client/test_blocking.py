"""Does the blocking client find or make, hand over, wait, tell what went wrong, and keep no more than it is allowed to?"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from penstock.client import (
    ApiUnreachableError,
    ConflictPolicy,
    FileRefusedError,
    NotMovedError,
    NotReadyError,
    Penstock,
    Refused,
    Submission,
    SubTask,
    SubTaskStatus,
    WaitOverError,
)
from penstock.errors import SettingsError
from tests.e2e.cli.processes import emulator_of
from tests.e2e.client.conftest import Spot
from tests.fixtures.holdproxy import HoldProxy


def test_whoever_asks_for_the_same_gets_the_same(spot: Spot) -> None:
    with spot.penstock() as one, spot.penstock() as other:
        flow, again = one.flow(spot.path, spot.storage), other.flow(spot.path.rstrip("/"), spot.storage)
        assert flow.facts == again.facts
        stream = flow.export_stream("/a/", target_directory="b")
        assert stream.facts == again.export_stream("a", target_directory="/b/").facts
        others = [
            flow.export_stream("/a/"),
            flow.import_stream("/a/", target_directory="/b/"),
            flow.export_stream("/a/", target_directory="/b/", policy=ConflictPolicy.SKIP_THE_FILE),
        ]
        assert len({stream.facts.task_id, *(each.facts.task_id for each in others)}) == 4
        assert other.stream(stream.facts.task_id).facts == stream.facts


def test_a_stream_that_was_cancelled_is_made_anew(spot: Spot) -> None:
    with spot.penstock() as penstock:
        flow = penstock.flow(spot.path, spot.storage)
        made = []
        for _ in range(3):
            stream = flow.export_stream("/once/")
            made.append(stream.facts.task_id)
            stream.cancel()
        assert len(set(made)) == 3
        with pytest.raises(NotReadyError, match="no open stream"):
            penstock.stream(made[0])


def test_a_stopped_dataflow_is_named_with_the_command_that_starts_it(spot: Spot) -> None:
    with spot.penstock() as penstock:
        flow = penstock.flow(spot.path, spot.storage)
        penstock.call("StopDataFlow", DataFlowId=flow.facts.flow_id)
        with pytest.raises(NotReadyError, match=f"penstock flow start {flow.facts.flow_id}"):
            penstock.flow(spot.path, spot.storage)
        penstock.call("StartDataFlow", DataFlowId=flow.facts.flow_id)


def test_a_file_is_waited_for_and_told_as_it_is(spot: Spot) -> None:
    (name,) = spot.write(1, size_bytes=3 << 20)
    with spot.penstock() as penstock:
        stream = penstock.flow(spot.path, spot.storage).export_stream()
        seen: list[SubTask] = []
        submission = stream.submit(name, "elsewhere/copy")
        done = submission.wait(60, seen.append)
        assert (done.status, done.size_bytes, done.progress) == (SubTaskStatus.COMPLETE, 3 << 20, 1.0)
        assert done.target.endswith("/elsewhere/copy")
        assert done.crc64 is not None
        assert done == submission.latest == seen[-1]
        assert penstock.sub_task(submission.sub_task_id).checksum == done.checksum
        assert not stream.window.ended
        submission.cancel()  # it has ended, so that does nothing


def test_what_ended_otherwise_is_raised_and_what_is_refused_too(spot: Spot) -> None:
    (name,) = spot.write(1)
    with spot.penstock() as penstock:
        stream = penstock.flow(spot.path, spot.storage).export_stream()
        with pytest.raises(NotMovedError, match="missing: FAILED: SourceNotFound"):
            stream.submit("missing").wait(60)
        with pytest.raises(NotMovedError, match="ConditionNotMet"):
            stream.submit(name, size_bytes=99).wait(60)
        with pytest.raises(FileRefusedError, match=r"\.\./up") as caught:
            stream.submit("../up")
        assert caught.value.code == "IllegalCharacters"
        for gone in ("gone1", "gone2", name):
            stream.submit(gone)
        with pytest.raises(NotMovedError, match="2 files were not moved") as failed, stream:
            pass
        assert len(failed.value.failures) == 2


def test_a_wait_that_is_over_says_so_and_the_file_can_be_withdrawn(spot: Spot) -> None:
    (spot.directory / "large").write_bytes(bytes(40 << 20))
    bucket_server = emulator_of(spot.service.pid)
    with spot.penstock() as penstock:
        stream = penstock.flow(spot.path, spot.storage).export_stream()
        os.kill(bucket_server, signal.SIGSTOP)
        try:
            submission = stream.submit("large", "withdrawn")
            with pytest.raises(WaitOverError, match="has not ended within 0 s") as over:
                submission.wait(0)
            submission.cancel()
        finally:
            os.kill(bucket_server, signal.SIGCONT)
        assert isinstance(over.value, TimeoutError)
        with pytest.raises(NotMovedError, match="large: CANCELED"):
            submission.wait(60)


def test_many_are_moved_and_no_more_kept_than_may_be(spot: Spot) -> None:
    names = spot.write(700)
    with spot.penstock() as penstock:
        flow = penstock.flow(spot.path, spot.storage)
        stream = penstock.stream(flow.export_stream().facts.task_id, in_flight_max=150)
        kept: list[int] = []
        came: list[SubTask | Refused] = []
        for done in stream.move([*names, "..", "missing"]):
            kept.append(len(stream.window.under_way) + len(stream.window.ended))
            came.append(done)
        assert max(kept) <= 150
        refused = [each for each in came if isinstance(each, Refused)]
        moved = [each for each in came if isinstance(each, SubTask)]
        assert [each.file.source for each in refused] == [".."]
        assert sorted(each.name for each in moved if each.is_complete) == names
        assert [each.name for each in moved if not each.is_complete] == ["missing"]
        with stream:  # nobody takes what is complete, so it is let go
            assert sum(1 for _ in stream.submit_many(names)) == 700
            assert len(stream.window.under_way) + len(stream.window.ended) <= 150
        assert all(isinstance(each, Submission) for each in stream.submit_many(names[:5]))
        assert sorted(each.name for each in stream.finished()) == names[:5]


@contextlib.contextmanager
def answer_lost(proxy: HoldProxy) -> Iterator[None]:
    """The next answer does not arrive, though its call was carried out."""

    def lose() -> None:
        proxy.wait_held()
        proxy.cut()
        proxy.release()

    proxy.hold(down_bytes=0)
    losing = threading.Thread(target=lose)
    losing.start()
    yield
    losing.join()


def test_an_answer_that_was_lost_makes_nothing_twice(spot: Spot) -> None:
    names = spot.write(30)
    with HoldProxy(spot.service.api) as proxy, spot.penstock(proxy.endpoint) as penstock:
        stream = penstock.flow(spot.path, spot.storage).export_stream("/", target_directory="/lost/")
        with answer_lost(proxy):
            stream.submit(names[0])
        with answer_lost(proxy):
            assert len(list(stream.submit_many(names[1:]))) == 29
        assert stream.window.in_doubt == 0
        assert sorted(each.name for each in stream.finished()) == names
        rows = penstock.call("DescribeDataFlowTasks", Filters=[{"Key": "TaskIds", "Value": stream.facts.task_id}])
        assert rows["TaskInfo"]["Task"][0]["ProgressStats"]["FilesTotal"] == 30


def test_silence_that_is_not_to_be_borne_is_raised_with_what_is_in_doubt(spot: Spot) -> None:
    names = spot.write(3)
    with HoldProxy(spot.service.api) as proxy, spot.penstock(proxy.endpoint, silence_max_s=0) as penstock:
        stream = penstock.flow(spot.path, spot.storage).export_stream()
        with answer_lost(proxy), pytest.raises(ApiUnreachableError):
            list(stream.submit_many(names))
        assert stream.window.in_doubt == 3
        assert not stream.window.under_way


def test_a_client_token_is_the_same_file_in_another_program(spot: Spot) -> None:
    (name,) = spot.write(1)
    ids = set()
    for _ in range(2):
        with spot.penstock() as penstock:
            stream = penstock.flow(spot.path, spot.storage).export_stream()
            ids.add(stream.submit(name, client_token="step-100").sub_task_id)
    assert len(ids) == 1


def test_what_the_environment_names_is_taken_and_what_it_lacks_is_named(
    spot: Spot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PENSTOCK_ENDPOINT", raising=False)
    monkeypatch.setenv("PENSTOCK_ACCESS_KEY_ID", spot.service.init["access_key_id"])
    monkeypatch.setenv("PENSTOCK_ACCESS_KEY_SECRET", spot.service.init["access_key_secret"])
    with pytest.raises(SettingsError, match=r"Set PENSTOCK_ENDPOINT\Z"):
        Penstock.from_environment()
    monkeypatch.setenv("PENSTOCK_ENDPOINT", spot.service.api)
    with Penstock.from_environment() as penstock:
        assert penstock.ground.file_system_id == spot.service.init["file_system_id"]
