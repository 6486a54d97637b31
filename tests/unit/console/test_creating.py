"""Are the lines of a form the files that were meant?"""

from __future__ import annotations

from penstock.console.creating import Wanted, read_lines


def test_a_line_is_a_source_with_or_without_a_target() -> None:
    assert read_lines("a.bin\n/b/c.bin\tother/d.bin\n\n  \n数据/检查点 一.bin\r\n") == (
        Wanted(source="/a.bin", target="/a.bin"),
        Wanted(source="/b/c.bin", target="/other/d.bin"),
        Wanted(source="/数据/检查点 一.bin", target="/数据/检查点 一.bin"),
    )


def test_an_empty_target_is_the_same_name() -> None:
    assert read_lines("a.bin\t") == (Wanted(source="/a.bin", target="/a.bin"),)
