"""Does a walk of two sides meet each path once, with what lies on each, wherever it is broken off and goes on?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer import tree
from penstock.transfer.listed import Kind, Listed, Look
from penstock.transfer.merging import LookBehind, Merge, Pair, Walked
from penstock.transfer.names import to_bytes

NAMES = st.text("a.-/0é\udcff", min_size=1, max_size=6)
SIDES = st.sets(NAMES, max_size=30)
FILE_NAMES = st.lists(st.sampled_from(["a", "a.", "a-", "a0", "b", ".x"]), min_size=1, max_size=4)


def side(paths: Iterable[str], page: int) -> LookBehind:
    """One that lists these, so many at a time; what is there is kept in order by its bytes."""
    lies = sorted(paths, key=to_bytes)

    def look(after: str) -> Look:
        rest = [path for path in lies if to_bytes(path) > to_bytes(after)]
        found = [Listed(path, Kind.FILE) for path in rest[:page]]
        return Look(found, found[-1].path if len(rest) > page else None)

    return look


def walked(here: LookBehind, there: LookBehind, breaks: int) -> list[Pair]:
    """All pairs of a walk that is made anew after each `breaks` of them."""
    found: list[Pair] = []
    merge = Merge(here, there, Walked())
    while (pair := merge.next()) is not None:
        found.append(pair)
        if len(found) % breaks == 0:
            merge = Merge(here, there, merge.walked)
    return found


@given(SIDES, SIDES, st.integers(1, 7), st.integers(1, 7), st.integers(1, 9))
def test_each_path_is_met_once_with_what_lies_there(
    mine: set[str], others: set[str], my_page: int, other_page: int, breaks: int
) -> None:
    pairs = walked(side(mine, my_page), side(others, other_page), breaks)
    assert [pair.path for pair in pairs] == sorted(mine | others, key=to_bytes)
    for pair in pairs:
        assert (pair.here is not None, pair.there is not None) == (pair.path in mine, pair.path in others)


@settings(max_examples=30)
@given(st.lists(FILE_NAMES, max_size=25), st.integers(1, 6), st.integers(1, 4))
def test_a_tree_is_walked_in_the_order_of_its_files_keys(paths: Sequence[list[str]], limit: int, breaks: int) -> None:
    with TemporaryDirectory() as root:
        for parts in paths:
            path = Path(root, *parts)
            if not path.is_dir() and not any(above.is_file() for above in path.parents):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        keys = [str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file()]
        file_system = FileSystem(file_system_id="fs", root=root)

        def look(after: str) -> Look:
            found = tree.look(file_system, "", after, limit)
            assert isinstance(found, Look)
            return found

        pairs = walked(look, side(keys, 3), breaks)
    assert [pair.path for pair in pairs] == sorted(keys, key=to_bytes)
    assert all(pair.here is not None and pair.there is not None for pair in pairs)


def test_what_lies_in_a_closed_directory_is_told_after_a_break_too() -> None:
    def here(after: str) -> Look:
        lies = [Listed("a", Kind.FILE), Listed("d/", Kind.CLOSED), Listed("d0", Kind.FILE)]
        return Look([one for one in lies if one.path > after], None)

    for breaks in (1, 2, 9):
        pairs = walked(here, side(["a", "d", "d/1", "d/2/3", "d0", "e"], 2), breaks)
        closed = {pair.path: pair.closed for pair in pairs}
        assert closed == {"a": "", "d": "", "d/": "d/", "d/1": "d/", "d/2/3": "d/", "d0": "", "e": ""}


def test_another_order_is_no_comparison() -> None:
    wrong = Look([Listed("b", Kind.FILE), Listed("a", Kind.FILE)], None)
    with pytest.raises(TransferError, match="byte order") as raised:
        Merge(side([], 1), lambda _: wrong, Walked()).next()
    assert (raised.value.code, raised.value.waiting_helps) == (FailureCode.NOT_SUPPORTED, False)


def test_a_marker_of_the_very_directory_is_nothing() -> None:
    marked = Look([Listed("", Kind.MARKER), Listed("a", Kind.FILE)], None)
    assert [pair.path for pair in walked(side([], 1), lambda after: Look([], None) if after else marked, 9)] == ["a"]
