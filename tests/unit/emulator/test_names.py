"""Which names does OSS accept?"""

from __future__ import annotations

import pytest

from penstock.emulator.protocol.errors import OssFault
from penstock.emulator.protocol.names import check_object_key, is_bucket_name


@pytest.mark.parametrize("name", ["abc", "a-b", "0a9", "a" * 63, "a--b"])
def test_bucket_names_that_are(name: str) -> None:
    assert is_bucket_name(name)


@pytest.mark.parametrize("name", ["", "ab", "a" * 64, "-ab", "ab-", "Abc", "a_b", "a.b", "äbc", "abc\n"])
def test_bucket_names_that_are_not(name: str) -> None:
    assert not is_bucket_name(name)


@pytest.mark.parametrize("key", [b"a", b"a/b", b"p//q", b"d/", b"x" * 1023, "中".encode(), b"\x01\x1f", b"a\\b", b" "])
def test_object_names_that_are(key: bytes) -> None:
    check_object_key(key)


@pytest.mark.parametrize("key", [b"", b"/a", b"\\a", b"x" * 1024, b"\xff", b"\xed\xa0\x80"])
def test_object_names_that_are_not(key: bytes) -> None:
    with pytest.raises(OssFault) as caught:
        check_object_key(key)
    assert (caught.value.status, caught.value.code) == (400, "InvalidObjectName")
