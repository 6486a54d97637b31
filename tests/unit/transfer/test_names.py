"""Which names are refused, and are ours short enough?"""

from __future__ import annotations

import pytest

from penstock.errors import FailureCode, TransferError
from penstock.transfer import names

LONG = "é" * 128  # 256 bytes


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", FailureCode.TARGET_IS_DIRECTORY),
        ("a/", FailureCode.TARGET_IS_DIRECTORY),
        (".penstock-x", FailureCode.RESERVED_NAME),
        ("a/.penstock-0123456789abcdef.partial", FailureCode.RESERVED_NAME),
        ("a/.penstock-d/b", FailureCode.RESERVED_NAME),
        (f"a/{LONG}/b", FailureCode.NAME_TOO_LONG),
        ("/".join(["d" * 200] * 21), FailureCode.NAME_TOO_LONG),
        ("../a", FailureCode.OUTSIDE_FILE_SYSTEM),
        ("a/../b", FailureCode.OUTSIDE_FILE_SYSTEM),
        ("a/./b", FailureCode.OUTSIDE_FILE_SYSTEM),
        ("a//b", FailureCode.OUTSIDE_FILE_SYSTEM),
        ("/a", FailureCode.OUTSIDE_FILE_SYSTEM),
        ("a\0b", FailureCode.OUTSIDE_FILE_SYSTEM),
    ],
)
def test_refused_paths(path: str, code: FailureCode) -> None:
    with pytest.raises(TransferError) as caught:
        names.check_path(path, directory_code=FailureCode.TARGET_IS_DIRECTORY)
    assert caught.value.code is code


@pytest.mark.parametrize("path", ["a", "a/b", "é" * 127, "x.penstock-y", "a/penstock-", "a b/ü", "...", "a/.hidden"])
def test_plain_paths(path: str) -> None:
    names.check_path(path, directory_code=FailureCode.TARGET_IS_DIRECTORY)


def test_keys() -> None:
    names.check_key("k" * 1023, length_max_bytes=1023)
    for key, code in {
        "é" * 512: FailureCode.NAME_TOO_LONG,
        "": FailureCode.STORE_REFUSED,
        "a/.penstock-probe-1": FailureCode.RESERVED_NAME,
    }.items():
        with pytest.raises(TransferError) as caught:
            names.check_key(key, length_max_bytes=1023)
        assert caught.value.code is code


def test_our_own_names_are_reserved_short_and_distinct() -> None:
    made = {names.partial_name(f"subtask-{number}") for number in range(100)}
    assert len(made) == 100
    for name in (names.partial_name("s"), names.journal_name("s")):
        assert len(name) < 40
        with pytest.raises(TransferError):
            names.check_path(name.decode(), directory_code=FailureCode.TARGET_IS_DIRECTORY)
    assert names.partial_name("s").split(b".")[:2] == names.journal_name("s").split(b".")[:2]


def test_a_path_comes_apart_into_bytes() -> None:
    assert names.split("a/b/ü") == (b"a/b", "ü".encode())
    assert names.split("x") == (b".", b"x")
