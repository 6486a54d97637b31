"""Are file lists read line by line, wherever a bit of them ends, and is nothing that is wrong passed over?"""

from __future__ import annotations

import csv
import io

import pytest

from penstock.errors import FailureCode, TransferError
from penstock.transfer import filelist
from penstock.transfer.filelist import Line, Place
from tests.fixtures.memorystore import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def read(store: MemoryStore, place: Place | None) -> list[tuple[str, bool]]:
    """All lines from there on, each look going on where the last line of the one before ends."""
    found: list[tuple[str, bool]] = []
    while place is not None and (lines := filelist.lines(store, place)):
        found += [(line.name, line.is_tree) for line in lines]
        place = lines[-1].behind
    return found


def listed(store: MemoryStore, text: bytes) -> list[tuple[str, bool]]:
    store.seed("lists/a.csv", text)
    return read(store, filelist.first(store, "lists/", ""))


@pytest.mark.parametrize("chunk", [16 << 10, 20, 40])
def test_lines_are_the_same_whatever_is_read_at_once(
    store: MemoryStore, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filelist, "CHUNK_BYTES", chunk)
    text = b"\xef\xbb\xbfName,Type\r\na,file\r\n\r\n/b/c,file\nd/,dir\n" + '"e,ü",file\n'.encode() + b"last,file"
    expected = [("a", False), ("b/c", False), ("d/", True), ("e,ü", False), ("last", False)]
    assert listed(store, text) == expected


def test_a_later_look_goes_on_behind_any_line(store: MemoryStore) -> None:
    store.seed("lists/a.csv", b"Type,Name\nfile,a\nfile,b\nfile,c\n")
    start = filelist.first(store, "lists/", "")
    assert start is not None
    lines = filelist.lines(store, start)
    assert [line.name for line in lines] == ["a", "b", "c"]
    assert read(store, lines[0].behind) == [("b", False), ("c", False)]
    assert filelist.lines(store, lines[2].behind) == []


@pytest.mark.parametrize("chunk", [256 << 10, 40])
def test_what_a_writer_of_csv_has_quoted_is_one_name(
    store: MemoryStore, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newlines, commas and quotes, as in reports: never two names where one is meant, which may both be there."""
    monkeypatch.setattr(filelist, "CHUNK_BYTES", chunk)
    names = ["new\nline", "\r\n", "a,b", 'a"b', '"', '"\n"', 'q""\n,"', "end\r", "plain"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([["Name", "Type"], *([name, "file"] for name in names)])
    assert listed(store, text.getvalue().encode()) == [(name, False) for name in names]
    assert listed(store, b'\xef\xbb\xbf"Na\nme",Name\n1,a"b\n2,"c\n"d') == [('a"b', False), ("c\nd", False)]


def test_lists_come_in_order_and_others_are_none(store: MemoryStore) -> None:
    for key in ("lists/b.csv", "lists/a.CSV", "lists/c.txt", "lists/deep/d.csv", "lists/", "listsx.csv"):
        store.seed(key, b"Name\nx\n")
    keys = []
    after = ""
    while (place := filelist.first(store, "lists/", after)) is not None:
        keys.append(place.key)
        after = place.key
    assert keys == ["lists/a.CSV", "lists/b.csv"]
    assert filelist.first(store, "none/", "") is None


def test_without_types_the_name_tells(store: MemoryStore) -> None:
    assert listed(store, b"name\na\nb/\n") == [("a", False), ("b/", True)]
    assert listed(store, b"Name,Type\na,\nb/\n") == [("a", False), ("b/", True)]
    assert listed(store, b"") == []
    assert listed(store, b"Name,Type\n") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"Path,Type\na,file\n", "no column Name"),
        (b"Name,Type\na,link\n", "neither file nor dir"),
        (b"Name,Type\n,file\n", "no Name"),
        (b"Name,Type\na,dir\n", "ends with"),
        (b"Name,Type\na/,file\n", "ends with"),
        (b"Name,Type\n\xff\xfe,file\n", "not UTF-8"),
        (b"Name\n" + b"x" * (300 << 10), "more than"),
        (b"Name\n" + b"x" * (20 << 10) + b"\ny\n", "more than"),
        (b'Name\na\n"' + b"x\n" * (150 << 10), "more than"),
        (b'Name\na\n"b\nc\n', "never closed"),
        (b'Name\n"b\nc\n', "never closed"),
        (b'Name\na\n"b""\nc', "never closed"),
        (b"Name\na\rb\n", "no CSV"),
    ],
)
def test_what_is_wrong_is_told(store: MemoryStore, text: bytes, words: str) -> None:
    with pytest.raises(TransferError, match=words) as raised:
        listed(store, text)
    assert not raised.value.waiting_helps


def test_a_list_that_changes_is_told(store: MemoryStore) -> None:
    store.seed("lists/a.csv", b"Name\na\nb\n")
    place = filelist.first(store, "lists/", "")
    assert place is not None
    store.seed("lists/a.csv", b"Name\nc\nd\n")
    with pytest.raises(TransferError) as raised:
        filelist.lines(store, place)
    assert raised.value.code is FailureCode.SOURCE_CHANGED
    line = Line("a", False, place)
    assert line.behind.key == "lists/a.csv"
