"""Documents: control characters survive the parser, DTDs and oversize do not pass it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import StoreUnavailableError
from penstock.stores.documents import complete_document, parse

ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
sendable = st.text(
    st.characters(
        exclude_categories=["Cs"], exclude_characters="\ufffe\uffff" + "".join(map(chr, range(0xFDD0, 0xFDF0)))
    )
)


@given(sendable)
def test_every_name_survives_raw(name: str) -> None:
    if "\r\n" in name:
        return  # XML itself makes one newline of the two
    raw = "".join(ESCAPES.get(character, character) for character in name)
    assert parse(f"<R><Key>{raw}</Key></R>".encode()).text("Key") == name


@given(sendable)
def test_every_name_survives_as_references(name: str) -> None:
    raw = "".join(f"&#{ord(character)};" for character in name)
    assert parse(f"<R><Key>{raw}</Key></R>".encode()).text("Key") == name
    raw = "".join(f"&#x{ord(character):x};" for character in name)
    assert parse(f"<R><Key>{raw}</Key></R>".encode()).text("Key") == name


def test_namespaces_declarations_and_space_around_are_passed_over() -> None:
    document = parse(b'\xef\xbb\xbf \n<?xml version="1.0" encoding="UTF-8"?>\r\n<R xmlns="http://x/"><A>1</A></R>\r\n')
    assert document.tag == "R"
    assert document.text("A") == "1"
    assert document.number("A") == 1
    assert document.child("B") is None
    assert document.text("B", "none") == "none"


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE r [<!ENTITY a "aaaa">]><r>&a;</r>',
        b'<?xml version="1.0"?><!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
        b"<r>&unknown;</r>",
        b"<r>",
        b"",
        b"no xml",
        b"<a/><b/>",
    ],
)
def test_what_is_no_plain_document_is_refused(content: bytes) -> None:
    with pytest.raises(StoreUnavailableError):
        parse(content)


def test_a_document_that_is_too_long_is_refused() -> None:
    assert parse(b"<r>" + b" " * 93 + b"</r>", max_bytes=100).tag == "r"
    with pytest.raises(StoreUnavailableError, match="longer than 100 bytes"):
        parse(b"<r>" + b" " * 94 + b"</r>", max_bytes=100)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "٣", "1e3"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StoreUnavailableError, match="no number in Size"):
        parse(f"<r><Size>{text}</Size></r>".encode()).number("Size")


def test_complete_names_parts_in_order_with_quoted_etags() -> None:
    document = parse(complete_document([(1, "AB", ""), (7, 'x"<&', "S<=")], checksum_element="ChecksumCRC32C"))
    parts = document.children("Part")
    assert document.tag == "CompleteMultipartUpload"
    assert [part.number("PartNumber") for part in parts] == [1, 7]
    assert [part.text("ETag") for part in parts] == ['"AB"', '"x"<&"']
    assert [part.text("ChecksumCRC32C") for part in parts] == ["", "S<="]
