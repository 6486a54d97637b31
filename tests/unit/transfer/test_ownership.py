"""Do owner and permissions travel where that is asked for, never more than that, and is it said when they cannot be kept?"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.model import ConflictPolicy, Direction
from penstock.stores.base import ObjectInfo
from penstock.transfer import posix
from penstock.transfer.ownership import AS_SERVICE, OWNER_NOT_KEPT, Ownership, metadata_of, of_object
from penstock.transfer.partial import PartialFile
from penstock.transfer.posix import FileState
from penstock.transfer.transfer import Intent, Lane, Outcome, OwnerAndMode, TransferChoices, Verdict
from tests.fixtures.gate import KIB, Gate, open_gate, transfer
from tests.fixtures.memorystore import MemoryStore

KEEP = TransferChoices(owner_and_mode=OwnerAndMode.KEEP)
LEAVE = TransferChoices()
NOBODY = 65_534
SIZES = pytest.mark.parametrize("content", [b"small", bytes(200 * KIB)], ids=["small", "large"])
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate in a directory that everybody can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o711)
        made = open_gate(Path(path) / "fs")
        if os.geteuid() == 0:
            os.chown(made.base, NOBODY, NOBODY)
        yield made
        made.close()


@pytest.fixture
def keeping(gate: Gate) -> Gate:
    gate.choices = KEEP
    return gate


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without any privilege; whoever is not root already is nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def marked(store: MemoryStore, content: bytes, **marks: str) -> MemoryStore:
    """An object in the bucket with these marks (uid, gid, mode)."""
    metadata = {f"penstock-{name}": value for name, value in marks.items()}
    store.seed("in/data.bin", content, metadata=metadata)
    return store


def bring(gate: Gate, content: bytes, **marks: str) -> Outcome:
    return gate.move(transfer(), marked(MemoryStore(), content, **marks))


def plain_mode() -> int:
    return 0o666 & ~posix.umask()


def seen(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


# ------------------------------------------------------------------------------------------------------------- the marks


def an_object(**metadata: str) -> ObjectInfo:
    named = {f"penstock-{name}": value for name, value in metadata.items()}
    return ObjectInfo(key="k", size_bytes=1, etag="e", last_modified_ns=0, metadata=named)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o1777, 0o7777])
def test_what_we_write_we_read_again_without_the_special_bits(mode: int) -> None:
    state = FileState(
        mode=stat.S_IFREG | mode,
        device=1,
        inode=1,
        links=1,
        size_bytes=1,
        modify_ns=0,
        change_ns=0,
        owner=1000,
        group=2**32 - 2,
    )
    written = metadata_of(state, KEEP)
    assert written == {
        "penstock-uid": "1000",
        "penstock-gid": "4294967294",
        "penstock-mode": f"{mode & 0o777:04o}",
    }
    info = ObjectInfo(key="k", size_bytes=1, etag="e", last_modified_ns=0, metadata=written)
    assert of_object(info, KEEP) == Ownership(owner=1000, group=2**32 - 2, mode=mode & 0o777)
    assert of_object(info, LEAVE) == AS_SERVICE
    assert metadata_of(state, LEAVE) == {}


@pytest.mark.parametrize(
    "mode", ["", "rw-r--r--", "0o644", "8", "999", "-644", "+644", " 644", "644 ", "100644", "٦٤٤"]
)
def test_a_malformed_mode_was_not_asked_for(mode: str) -> None:
    assert of_object(an_object(mode=mode, uid="1", gid="2"), KEEP) == Ownership(owner=1, group=2)


@pytest.mark.parametrize(
    ("uid", "gid"),
    [
        ("", "5"),
        ("5", ""),
        ("root", "5"),
        ("-1", "5"),
        ("5", "4294967295"),  # to the kernel: leave it as it is
        ("99999999999", "5"),
        ("0x5", "5"),
        ("5 ", "5"),
        ("٥", "5"),
    ],
)
def test_an_owner_has_two_sound_numbers_or_was_not_asked_for(uid: str, gid: str) -> None:
    assert of_object(an_object(uid=uid, gid=gid, mode="640"), KEEP) == Ownership(mode=0o640)


@pytest.mark.parametrize("mode", ["4755", "2755", "1777", "7777", "6111"])
def test_special_bits_are_never_taken_from_an_object(mode: str) -> None:
    assert of_object(an_object(mode=mode), KEEP).mode == int(mode, 8) & 0o777


# --------------------------------------------------------------------------------------------------------------- exports


@pytest.mark.rule("FILE-3")
@SIZES
def test_an_export_writes_them_only_where_asked(gate: Gate, content: bytes) -> None:
    store = MemoryStore()
    gate.target.write_bytes(content)
    gate.target.chmod(0o4751)
    assert gate.move(transfer(Direction.EXPORT, key="without"), store).verdict is Verdict.COMPLETE
    gate.choices = KEEP
    assert gate.move(transfer(Direction.EXPORT, key="with", sub_task_id="s2"), store).verdict is Verdict.COMPLETE
    plain, kept = store.head("without").metadata, store.head("with").metadata
    assert kept.keys() - plain.keys() == {"penstock-uid", "penstock-gid", "penstock-mode"}
    found = gate.target.stat()
    assert (kept["penstock-uid"], kept["penstock-gid"]) == (str(found.st_uid), str(found.st_gid))
    assert kept["penstock-mode"] == "0751"
    assert kept["penstock-mtime-ns"] == str(found.st_mtime_ns)


# --------------------------------------------------------------------------------------------------------------- imports


@pytest.mark.rule("FILE-3")
@SIZES
def test_an_import_leaves_them_alone_unless_asked(gate: Gate, content: bytes) -> None:
    outcome = bring(gate, content, uid="12345", gid="54321", mode="0777")
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "")
    assert seen(gate.target) == (os.geteuid(), os.getegid(), plain_mode())


@pytest.mark.rule("FILE-3")
@SIZES
@AS_ROOT
def test_an_import_gives_the_file_away(keeping: Gate, content: bytes) -> None:
    outcome = bring(keeping, content, uid="12345", gid="54321", mode="4640", **{"mtime-ns": "1000000007"})
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "")
    assert seen(keeping.target) == (12345, 54321, 0o640)
    assert keeping.target.stat().st_mtime_ns == 1_000_000_007
    assert keeping.target.read_bytes() == content


@pytest.mark.rule("FILE-3")
@SIZES
def test_without_marks_an_import_is_as_ever(keeping: Gate, content: bytes) -> None:
    outcome = bring(keeping, content)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "")
    assert seen(keeping.target)[2] == plain_mode()


@pytest.mark.rule("FILE-3")
@SIZES
@pytest.mark.parametrize("lane", Lane)
def test_who_may_not_give_away_keeps_the_mode_and_says_so(keeping: Gate, content: bytes, lane: Lane) -> None:
    store = marked(MemoryStore(), content, uid="1", gid="1", mode="0604")
    with as_nobody():
        outcome = keeping.move(transfer(), store, lane=lane)
        if outcome.verdict is Verdict.LARGE:
            return
        here = os.geteuid()
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, OWNER_NOT_KEPT)
    owner, _, mode = seen(keeping.target)
    assert (owner, mode) == (here, 0o604)
    assert keeping.helpers() == [] or content != b"small"  # a large one's journal goes with TIDY


@pytest.mark.rule("FILE-3")
def test_its_own_files_stay_its_own_without_a_word(keeping: Gate) -> None:
    with as_nobody():
        marks = {"uid": str(os.geteuid()), "gid": str(os.getegid())}
        outcome = bring(keeping, b"content", mode="0600", **marks)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "")


def test_a_target_that_stays_says_nothing_of_owners(keeping: Gate) -> None:
    keeping.target.write_text("mine")
    before = seen(keeping.target)
    store = marked(MemoryStore(), b"theirs", uid="1", gid="1", mode="0777")
    outcome = keeping.move(transfer(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store)
    assert (outcome.verdict, outcome.note) == (Verdict.SKIPPED, "")
    assert seen(keeping.target) == before


@AS_ROOT
@SIZES
def test_there_and_back_they_are_the_same(keeping: Gate, content: bytes) -> None:
    store = MemoryStore()
    keeping.target.write_bytes(content)
    keeping.target.chmod(0o2705)
    os.chown(keeping.target, 77, 88)
    assert keeping.move(transfer(Direction.EXPORT), store).verdict is Verdict.COMPLETE
    back = transfer(path="base/back", sub_task_id="back")
    assert keeping.move(back, store).verdict is Verdict.COMPLETE
    assert seen(keeping.base / "back") == (77, 88, 0o705)


# -------------------------------------------------------------------------------------------- what a dead mover has sealed


@pytest.mark.parametrize("mode", [0o000, 0o040, 0o444, 0o200])
def test_a_sealed_file_that_shuts_out_its_owner_is_taken_over_as_it_is(gate: Gate, mode: int) -> None:
    """A mover died between sealing and publishing; the next one must get at the file, and leave its permissions."""
    name = b".penstock-dead.partial"
    with as_nobody():
        directory = os.open(gate.base, os.O_RDONLY | os.O_DIRECTORY)
        sealed = PartialFile.create(directory, name)
        posix.write_all(sealed.descriptor, memoryview(b"content"), 0)
        sealed.seal(5, Ownership(mode=mode))
        sealed.close()
        found = PartialFile.reopen(directory, name)
        assert found is not None
        state = found.state()
        assert (state.mode & 0o7777, state.modify_ns) == (mode, 5)
        content = memoryview(bytearray(7))
        assert posix.read_full(found.descriptor, content, 0) == 7
        assert bytes(content) == b"content"
        found.discard()
        os.close(directory)
    assert gate.helpers() == []


def test_a_link_in_its_place_is_not_opened_through(gate: Gate) -> None:
    secret = gate.base / "secret"
    with as_nobody():
        secret.write_text("secret")
        secret.chmod(0)
        (gate.base / "link").symlink_to("secret")
        os.mkfifo(gate.base / "fifo", 0)
        directory = os.open(gate.base, os.O_RDONLY | os.O_DIRECTORY)
        for name in (b"link", b"fifo"):
            with pytest.raises(PermissionError):
                posix.open_own(directory, name, os.O_RDWR)
        os.close(directory)
    assert stat.S_IMODE(secret.stat().st_mode) == 0


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_an_import_whose_mover_died_before_publishing_ends_well(keeping: Gate, intent: Intent) -> None:
    """The sealed file is 0400: the next attempt of a service without privileges moves it, or leaves nothing behind."""
    content = bytes(200 * KIB)
    store = marked(MemoryStore(), content, mode="0400")

    class _DiedError(BaseException):
        pass

    with as_nobody(), pytest.MonkeyPatch.context() as patch:

        def die(*_: object) -> None:
            raise _DiedError

        patch.setattr("penstock.transfer.large_import.land", die)
        patch.setattr(PartialFile, "discard", die)  # whoever is dead tidies nothing
        with pytest.raises(_DiedError):
            keeping.move(transfer(), store)
        patch.undo()
        assert len(keeping.helpers()) == 2
        outcome = keeping.move(replace(transfer(attempt=2), intent=intent), store)
    if intent is Intent.WITHDRAW:
        assert outcome.verdict is Verdict.CANCELED
        assert keeping.helpers() == []
        assert not keeping.target.exists()
        return
    assert outcome.verdict is Verdict.COMPLETE
    assert seen(keeping.target)[2] == 0o400
    assert keeping.target.read_bytes() == content


def test_the_note_outlives_a_mover_that_died_after_publishing(keeping: Gate) -> None:
    store = marked(MemoryStore(), bytes(200 * KIB), uid="1", gid="1")
    with as_nobody():
        first = keeping.move(transfer(), store)
        again = keeping.move(transfer(attempt=2), store)  # its outcome was never heard
    assert (first.verdict, first.note) == (again.verdict, again.note) == (Verdict.COMPLETE, OWNER_NOT_KEPT)
    assert again.detail == first.detail
