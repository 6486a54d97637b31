"""What a trial's end is judged by: the tree, the bucket, the API's answers, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastcrc import crc64

from tests.faults.matrix.cases import Bucket, Fate
from tests.faults.matrix.file import OLDER, OLDER_NS, THEIRS, File
from tests.faults.matrix.smallservice import PART_BYTES, PARTS_IN_FLIGHT

ENDS: Mapping[Fate, frozenset[str]] = {
    Fate.CANCELED: frozenset({"CANCELED", "COMPLETE"}),
    Fate.WITHDRAWN: frozenset({"CANCELED", "COMPLETE"}),
    Fate.FAILED: frozenset({"FAILED"}),
    Fate.REFUSED: frozenset({"FAILED"}),
}
"""Which last statuses may be; of all others COMPLETE only, but for what nothing tells any more."""


def judged(file: File, status: str, *, deaths: int) -> int:
    """How many bytes were moved more than once. Raises AssertionError for whatever must not be."""
    file.wait(lambda: not file.left_behind(), "helper files or uploads did not go")
    item, fate = file.described(), file.way.fate
    assert item["Status"] == status, "a final status changed"
    assert status in ENDS.get(fate, {"COMPLETE"}) or (status == "FAILED" and _is_in_doubt(file)), item
    assert (item["ErrorMsg"] != "") == (status == "FAILED"), item
    if fate is Fate.OVERTAKEN:
        assert file.versions() == [crc64.xz(THEIRS)]
    elif status == "COMPLETE":
        _check_complete(file, item)
    elif status == "CANCELED":
        _check_absent(file)
    elif _is_in_doubt(file):
        _check_doubt(file, item)
    elif fate is Fate.REFUSED:
        _check_refused(file, item)
    else:
        _check_failed(file, item)
    return _again_bytes(file, status, deaths)


def _again_bytes(file: File, status: str, deaths: int) -> int:
    """How many bytes were moved more than once; however it ended, no more than were under way when somebody died."""
    fate, moved_bytes = file.way.fate, file.moved_bytes()
    again_bytes = moved_bytes - len(file.body)
    if file.is_kept or (fate is Fate.REFUSED and not file.way.is_whole):
        assert not moved_bytes, f"{moved_bytes} bytes were moved of what was not to be moved"
        return 0
    sent = deaths + (fate in {Fate.DAMAGED, Fate.WITHDRAWN, Fate.TURNED})  # once in vain
    is_anew = file.way.is_whole or fate in {Fate.CONSUMED, Fate.TURNED}
    bound = len(file.body) if is_anew else PARTS_IN_FLIGHT * PART_BYTES
    assert again_bytes <= sent * bound, f"{again_bytes} bytes were sent again, of {len(file.body)}"
    if status == "COMPLETE" and fate is not Fate.CANCELED and not _is_equal_there(file):
        assert again_bytes >= 0, f"only {moved_bytes} bytes were sent, of {len(file.body)}"
    if fate is Fate.CONSUMED:
        assert _is_there(file) == (again_bytes > 0), f"{again_bytes} bytes were sent again"
    return max(0, again_bytes)


def _is_there(file: File) -> bool:
    return file.path.exists() if file.way.is_import else bool(file.versions())


def _is_equal_there(file: File) -> bool:
    """Whether whoever comes later may take what was there before for what an earlier attempt has sent: an export that is over
    its equal."""
    return file.way.fate is Fate.EQUAL and not file.way.is_import


def _check_complete(file: File, item: Mapping[str, Any]) -> None:
    unread = {None} if file.is_kept else set()  # of what nobody has read nothing is said
    assert item["FileDetail"].get("Checksum") in {f"crc64:{crc64.xz(file.body)}", *unread}, item
    assert item["FileDetail"]["Size"] == len(file.body), item
    stats = item["ProgressStats"]
    assert stats["BytesDone"] == stats["BytesTotal"] == len(file.body), item
    assert item["Progress"] == 10000, item
    is_orphaned = file.way.fate is Fate.ORPHANED
    is_taken = file.way.fate is Fate.CONSUMED and not _is_there(file)
    if is_taken:
        assert file.way.is_import or file.path.read_bytes() == file.body
        assert file.versions() == ([crc64.xz(file.body)] if file.way.is_import else [])
        return
    if file.way.fate is Fate.EQUAL:
        _check_equal(file)
        return
    if file.way.fate is Fate.TURNED:
        assert [path.name for path in file.path.parent.parent.rglob("file")] == ["file"]
    if file.way.fate is Fate.REPLACED:
        _check_replaced(file)
        return
    if file.way.fate is Fate.UNSYNCED:
        assert file.world.traps.was_passed("directory.synced"), "COMPLETE, and its name was never made durable"
    if file.way.is_import or not is_orphaned:
        assert file.path.read_bytes() == file.body
    older = [crc64.xz(OLDER)] if file.has_older and not file.way.is_import else []
    kept = older if file.terms.bucket is Bucket.VERSIONED else []
    assert file.versions() == ([] if file.way.is_import and is_orphaned else [crc64.xz(file.body), *kept])


def _check_equal(file: File) -> None:
    """What is there is what was there, or the same once more."""
    assert file.path.read_bytes() == file.body
    found = file.path.stat()
    assert found.st_mtime_ns == OLDER_NS
    if file.is_kept or not file.way.is_import:
        assert found.st_ino == file.inode
    crc = crc64.xz(file.body)
    is_added = not (file.way.is_import or file.is_kept) and file.terms.bucket is Bucket.VERSIONED
    assert file.versions() in ([crc], [crc, crc] if is_added else [crc])


def _check_replaced(file: File) -> None:
    """What somebody has written since is there; beneath it, where there are versions, is ours, once."""
    body, theirs = crc64.xz(file.body), crc64.xz(THEIRS)
    if file.way.is_import:
        assert (file.path.read_bytes(), file.versions()) == (THEIRS, [body])
        return
    assert file.path.read_bytes() == file.body
    assert file.versions() == ([theirs, body] if file.terms.bucket is Bucket.VERSIONED else [theirs])


def _check_refused(file: File, item: Mapping[str, Any]) -> None:
    assert item["ErrorMsg"].startswith("ConditionNotMet: "), item
    assert (file.path.read_bytes(), file.path.stat().st_ino) == (file.body, file.inode)
    assert file.versions() == [crc64.xz(file.body)]


def _check_absent(file: File) -> None:
    if file.way.is_import:
        assert not file.path.exists()
    else:
        assert file.versions() == []


def _is_in_doubt(file: File) -> bool:
    """Whether it may be FAILED though it was published: a small import keeps no journal. Once its object is gone, too, only a
    mover that was heard knows of it."""
    return file.way.fate is Fate.ORPHANED and file.way.is_import and file.way.is_whole


def _check_doubt(file: File, item: Mapping[str, Any]) -> None:
    """A failure that denies nothing: the file is whole, and it is said that it may be there."""
    assert item["ErrorMsg"].startswith("SourceNotFound: "), item
    assert "may have published" in item["ErrorMsg"], item
    assert file.path.read_bytes() == file.body


def _check_failed(file: File, item: Mapping[str, Any]) -> None:
    if file.way.is_import:
        assert item["ErrorMsg"].startswith("TargetIsDirectory: "), item
        assert list(file.path.iterdir()) == []
    else:
        assert item["ErrorMsg"].startswith("SourceNotFound: "), item
        assert file.versions() == []
