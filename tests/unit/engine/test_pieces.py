"""Does a selection mean what it should, and does what is fed say so?"""

from __future__ import annotations

import dataclasses
import os

import pytest

from penstock.catalog.batchwork import Batch, Selection
from penstock.engine.feeding import Entry, Ways
from penstock.engine.pieces import START, Piece, Seek, pieces_of, seek_of
from penstock.model import Report, TaskAction, TaskStatus
from penstock.transfer.filelist import Place
from penstock.transfer.listed import Kind, Listed
from penstock.transfer.transfer import Symlinks

BATCH = Batch(
    task_id="task-1", file_system_id="fs", action=TaskAction.IMPORT, status=TaskStatus.EXECUTING, error_message="",
    directory="/a/", target_directory="/b/", create_dir_if_not_exist=False, file_system_path="/mnt/",
    source_storage="oss://12:bucket", source_storage_path="/far/", is_working=True, is_refresh=False, seek="", is_listed=False,
    trouble_code="", waiting=0, live=0, unreported=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [("a/", True)]),
        (Selection(includes='["/x/","/y/","/x/z/","/x/"]'), [("a/x/", True), ("a/y/", True)]),
        (Selection(entry_list='["/f","/d/","/d/e","/f","/g/h"]'), [("f", False), ("d/", True), ("g/h", False)]),
        (Selection(file_list_path="/lists/"), []),
    ],
)
def test_pieces_are_each_once(selection: Selection, expected: list[tuple[str, bool]]) -> None:
    assert list(pieces_of(BATCH, selection)) == [Piece(path, is_tree) for path, is_tree in expected]


def test_the_root_holds_all() -> None:
    root = dataclasses.replace(BATCH, directory="/")
    assert list(pieces_of(root, Selection())) == [Piece("", True)]
    assert list(pieces_of(root, Selection(includes='["/x/"]'))) == [Piece("x/", True)]


def test_a_seek_is_read_as_it_was_written() -> None:
    seek = Seek(piece=3, after=os.fsdecode(b"a/\xff,\n"), place=Place("k", "e", 5, 1, 0), tree="t/")
    assert seek_of(seek.text) == seek
    assert seek.text.isascii()
    assert seek_of("") == START


def test_files_go_to_the_same_place_beneath_the_target() -> None:
    ways = Ways(BATCH, Selection(), Symlinks.REFUSE)
    feed = ways.feed("", [Entry(Listed("a/x/f", Kind.FILE, 7), START)], Seek(after="x/f"))
    assert feed.files == [("/far/a/x/f", "/mnt/b/x/f", "fs/mnt/b/x/f", 7)]
    assert (feed.seek, feed.is_last) == (Seek(after="x/f").text, False)
    export = dataclasses.replace(BATCH, action=TaskAction.EXPORT)
    listed = Ways(export, Selection(entry_list='["/x/f"]'), Symlinks.REFUSE)
    feed = listed.feed("", [Entry(Listed("x/f", Kind.FILE), START)], None)
    assert feed.files == [("/mnt/x/f", "/far/b/x/f", "oss://bucket/far/b/x/f", 0)]


@pytest.mark.parametrize(
    ("listed", "report", "code"),
    [
        (Listed("a/m/", Kind.MARKER), Report.SKIPPED, "SourceIsDirectory"),
        (Listed("a/m/", Kind.MARKER, 4), Report.FAILED, "SourceIsDirectory"),
        (Listed("a/e", Kind.EMPTY), Report.SKIPPED, "SourceIsDirectory"),
        (Listed("a/l", Kind.SYMLINK), Report.SKIPPED, "SourceIsSymlink"),
        (Listed("a/s", Kind.SPECIAL), Report.FAILED, "SourceNotRegular"),
        (Listed("a/c", Kind.CLOSED), Report.FAILED, "PermissionDenied"),
        (Listed(os.fsdecode(b"a/\xff"), Kind.FILE, 3), Report.FAILED, "NotSupported"),
    ],
)
def test_what_is_not_moved_is_reported(listed: Listed, report: Report, code: str) -> None:
    ways = Ways(dataclasses.replace(BATCH, action=TaskAction.EXPORT), Selection(), Symlinks.REFUSE)
    feed = ways.feed("", [Entry(listed, START)], None)
    assert not feed.files
    (remark,) = feed.remarks
    assert (remark.report, remark.reason.partition(":")[0]) == (report, code)
    assert remark.source.encode()


def test_a_link_is_moved_where_that_was_chosen() -> None:
    ways = Ways(dataclasses.replace(BATCH, action=TaskAction.EXPORT), Selection(), Symlinks.VENDOR)
    feed = ways.feed("", [Entry(Listed("a/l", Kind.SYMLINK), START)], None)
    assert [file.source for file in feed.files] == ["/mnt/a/l"]
