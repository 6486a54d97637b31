"""Is each source and target that cannot be moved refused with its own code, a mending sentence, and nothing left behind?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy, Direction
from penstock.transfer import beneath
from penstock.transfer.root import Root
from penstock.transfer.transfer import Lane, Transfer, Verdict
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.stopwatch import Stopwatch

LARGE = bytes(100 * KIB)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.seed("in/data.bin", b"object")
    return made


@pytest.fixture(params=[beneath.open_beneath, beneath.walk_beneath], ids=["openat2", "walk"])
def gate(request: pytest.FixtureRequest, gate: Gate) -> Gate:
    """Both ways to resolve paths."""
    file_system = gate.root.file_system
    gate.root.close()
    gate.root = Root.open(file_system, opener=request.param)
    return gate


def check_failed(gate: Gate, store: MemoryStore, what: Transfer, code: FailureCode, *, words: str = "") -> None:
    """In both lanes; nothing is asked twice, nothing is left."""
    for lane in Lane:
        outcome = gate.move(what, store, lane=lane)
        assert (outcome.verdict, outcome.code) == (Verdict.FAILED, code), outcome
        assert words in outcome.message
        assert not outcome.message.startswith(code.value)
        assert gate.helpers() == []
        assert store.unfinished() == []


def export(**changes: object) -> Transfer:
    return transfer(Direction.EXPORT, **changes)


# ---------------------------------------------------------------------------------------------------- sources of exports


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "directory", "link", "dangling", "loop", "missing"])
def test_sources_that_are_no_plain_files(gate: Gate, store: MemoryStore, kind: str) -> None:
    target = gate.target
    codes = {
        "fifo": FailureCode.SOURCE_NOT_REGULAR,
        "socket": FailureCode.SOURCE_NOT_REGULAR,
        "device": FailureCode.SOURCE_NOT_REGULAR,
        "directory": FailureCode.SOURCE_IS_DIRECTORY,
        "link": FailureCode.SOURCE_IS_SYMLINK,
        "dangling": FailureCode.SOURCE_IS_SYMLINK,
        "loop": FailureCode.SOURCE_IS_SYMLINK,
        "missing": FailureCode.SOURCE_NOT_FOUND,
    }
    bound = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(target)
    elif kind == "socket":
        here = os.open(gate.base, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{here}/data.bin")  # the path of a socket has at most 107 bytes
        os.close(here)
    elif kind == "device":
        if os.geteuid() != 0:
            pytest.skip("only root makes devices")
        os.mknod(target, 0o020600, os.makedev(1, 3))
    elif kind == "directory":
        target.mkdir()
    elif kind == "link":
        (gate.base / "real").write_text("x")
        target.symlink_to("real")
    elif kind == "dangling":
        target.symlink_to("nowhere")
    elif kind == "loop":
        target.symlink_to("data.bin")
    watch = Stopwatch()
    check_failed(gate, store, export(key="out"), codes[kind])
    assert watch.took_s() < 5  # a FIFO without a writer would hold us for ever
    assert store.keys() == ["in/data.bin"]
    bound.close()


def test_links_on_the_way_may_stay_inside_but_not_lead_out(gate: Gate, store: MemoryStore, tmp_path: Path) -> None:
    (gate.path / "elsewhere").mkdir()
    (gate.path / "elsewhere/file").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("OUTSIDE")
    (gate.base / "in").symlink_to("../elsewhere")
    (gate.base / "out").symlink_to("../../outside")
    (gate.base / "abs").symlink_to(tmp_path / "outside")
    assert gate.move(export(path="base/in/file", key="out"), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    assert store.content("out") == b"inside"
    for path in ("base/out/file", "base/abs/file", "../outside/file"):
        check_failed(gate, store, export(path=path, key="out2"), FailureCode.OUTSIDE_FILE_SYSTEM)
    for path in ("base/out/new", "base/abs/new/er"):
        check_failed(gate, store, transfer(path=path), FailureCode.OUTSIDE_FILE_SYSTEM)
    assert os.listdir(tmp_path / "outside") == ["file"]


def test_a_file_in_the_place_of_a_directory(gate: Gate, store: MemoryStore) -> None:
    (gate.base / "file").touch()
    check_failed(gate, store, export(path="base/file/x"), FailureCode.SOURCE_NOT_FOUND)
    check_failed(gate, store, transfer(path="base/file/x"), FailureCode.TARGET_NOT_DIRECTORY)
    check_failed(gate, store, transfer(path="base/file/x/y"), FailureCode.TARGET_NOT_DIRECTORY)


# ----------------------------------------------------------------------------------------------------- targets of imports


@pytest.mark.parametrize("policy", list(ConflictPolicy))
@pytest.mark.parametrize(
    ("kind", "code"),
    [("directory", FailureCode.TARGET_IS_DIRECTORY), ("fifo", FailureCode.TARGET_NOT_REGULAR)],
)
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_targets_that_no_file_replaces(
    gate: Gate, policy: ConflictPolicy, kind: str, code: FailureCode, content: bytes
) -> None:
    store = MemoryStore()
    store.seed("in/data.bin", content)
    if kind == "directory":
        gate.target.mkdir()
    else:
        os.mkfifo(gate.target)
    outcome = gate.move(transfer(conflict_policy=policy), store)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, code)
    assert gate.helpers() == []
    assert store.calls_of("get") == []


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_link_is_replaced_under_overwrite_and_kept_under_skip(gate: Gate, content: bytes) -> None:
    store = MemoryStore()
    store.seed("in/data.bin", content)
    (gate.base / "real").write_text("untouched")
    for link in ("real", "nowhere"):
        gate.target.symlink_to(link)
        kept = gate.move(transfer(conflict_policy=ConflictPolicy.SKIP_THE_FILE, sub_task_id=f"k{link}"), store)
        assert kept.verdict is Verdict.SKIPPED
        assert gate.target.is_symlink()
        assert gate.move(transfer(sub_task_id=f"o{link}"), store).verdict is Verdict.COMPLETE
        assert not gate.target.is_symlink()
        assert gate.target.read_bytes() == content
        gate.target.unlink()
    assert (gate.base / "real").read_text() == "untouched"
    assert not (gate.base / "nowhere").exists()


def test_the_base_must_exist_and_the_message_says_how(gate: Gate, store: MemoryStore) -> None:
    what = transfer(path="none/such/x/y", base="none/such")
    check_failed(gate, store, what, FailureCode.BASE_NOT_FOUND, words=f"mkdir -p '{gate.path}/none/such'")
    assert not (gate.path / "none").exists()
    (gate.path / "none").mkdir()
    check_failed(gate, store, what, FailureCode.BASE_NOT_FOUND)


# ------------------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"path": "base/.penstock-x"}, FailureCode.RESERVED_NAME),
        ({"path": "base/.penstock-d/x"}, FailureCode.RESERVED_NAME),
        ({"key": "in/.penstock-probe-1"}, FailureCode.RESERVED_NAME),
        ({"path": f"base/{'x' * 256}"}, FailureCode.NAME_TOO_LONG),
        ({"path": f"base/{'d' * 256}/x"}, FailureCode.NAME_TOO_LONG),
        ({"key": "k" * 1024}, FailureCode.NAME_TOO_LONG),
        ({"path": "base/../x"}, FailureCode.OUTSIDE_FILE_SYSTEM),
    ],
)
def test_names(
    gate: Gate, store: MemoryStore, direction: Direction, changes: dict[str, str], code: FailureCode
) -> None:
    gate.target.touch()
    check_failed(gate, store, transfer(direction, **changes), code)
    assert store.calls == []


def test_the_longest_names_work(gate: Gate, store: MemoryStore) -> None:
    name = "é" * 127 + "x"
    store.seed("k" * 1023, b"content")
    assert gate.move(transfer(path=f"base/{name}", key="k" * 1023), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    assert (gate.base / name).read_bytes() == b"content"


def test_trailing_slashes_name_directories(gate: Gate, store: MemoryStore) -> None:
    check_failed(gate, store, transfer(path="base/x/"), FailureCode.TARGET_IS_DIRECTORY)
    check_failed(gate, store, transfer(key="in/"), FailureCode.SOURCE_IS_DIRECTORY)
    check_failed(gate, store, export(path="base/"), FailureCode.SOURCE_IS_DIRECTORY)


# ------------------------------------------------------------------------------------------------- two readings of a source


@pytest.mark.rule("SUB-PATH-5")
def test_both_readings_of_an_import_exist(gate: Gate, store: MemoryStore) -> None:
    store.seed("train/in/data.bin", b"other")
    what = transfer(rival="train/in/data.bin")
    check_failed(gate, store, what, FailureCode.AMBIGUOUS_SOURCE, words="/in/data.bin and as /train/in/data.bin")
    store.remove("in/data.bin")
    check_failed(gate, store, what, FailureCode.SOURCE_NOT_FOUND, words="'train/in/data.bin': did you mean")
    store.remove("train/in/data.bin")
    check_failed(gate, store, what, FailureCode.SOURCE_NOT_FOUND)
    store.seed("in/data.bin", b"object")
    assert gate.move(what, store).verdict is Verdict.COMPLETE


def test_both_readings_of_an_export_exist(gate: Gate, store: MemoryStore) -> None:
    gate.target.write_text("one")
    rival = gate.base / "base/data.bin"
    rival.parent.mkdir()
    rival.write_text("other")
    what = export(rival="base/base/data.bin", key="out")
    check_failed(gate, store, what, FailureCode.AMBIGUOUS_SOURCE, words="/base/data.bin and as /base/base/data.bin")
    gate.target.unlink()
    check_failed(gate, store, what, FailureCode.SOURCE_NOT_FOUND, words="/base/base/data.bin: did you mean")
    rival.unlink()
    check_failed(gate, store, what, FailureCode.SOURCE_NOT_FOUND)
    gate.target.write_text("one")
    assert gate.move(what, store).verdict is Verdict.COMPLETE


def test_an_import_that_was_meant_as_an_export_is_asked_about(gate: Gate, store: MemoryStore) -> None:
    source = gate.base / "yaml/test/file.png"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"png")
    what = transfer(key="bucket_prefix/yaml/test/file.png", path="base/dataflows/file.png")
    words = "this task is StreamImport; did you mean StreamExport?"
    check_failed(gate, store, what, FailureCode.SOURCE_NOT_FOUND, words=words)
    source.unlink()
    outcome = gate.move(what, store)
    assert "StreamExport" not in outcome.message
