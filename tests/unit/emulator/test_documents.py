"""Do documents survive the keys that XML cannot hold, and is what is malformed refused?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.emulator.protocol.documents import Element, parse, render
from penstock.emulator.protocol.errors import OssFault

# Line ends are normalized by every XML parser when they are bare, so they travel as references.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00￾￿"), max_size=40)


@given(TEXT)
def test_any_text_comes_back(text: str) -> None:
    root = parse(render(Element("Delete", [Element("Key", text)])), "Delete")
    assert (root.findtext("Key") or "") == text


def test_bare_control_characters_come_back() -> None:
    root = parse(b"<Delete><Key>a\x01\x02\x1f&#x7;&#8;&#38;b</Key></Delete>", "Delete")
    assert root.findtext("Key") == "a\x01\x02\x1f\x07\x08&b"


@pytest.mark.parametrize("given", ["a\ufffe\uffffb", "a&#xFFFE;&#65535;b"])
def test_what_xml_forbids_beyond_controls_comes_back(given: str) -> None:
    root = parse(f"<Delete><Key>{given}</Key></Delete>".encode(), "Delete")
    assert root.findtext("Key") == "a\ufffe\uffffb"


def test_private_use_characters_are_not_taken_for_control_characters() -> None:
    text = "".join(chr(base + 1) for base in range(0x10FD00, 0x10F000, -0x100)) + "\x01"
    root = parse(render(Element("Delete", [Element("Key", text)])), "Delete")
    assert root.findtext("Key") == text


def test_namespaces_are_ignored() -> None:
    assert (
        parse(b'<Delete xmlns="http://example.com/"><Quiet>true</Quiet></Delete>', "Delete").findtext("Quiet") == "true"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<Delete>",
        b"<Other/>",
        b"<Delete><Key>\xff</Key></Delete>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Key>&b;</Key></Delete>',
        b"<Delete>&#0;</Delete>",
    ],
)
def test_what_is_malformed_is_refused(body: bytes) -> None:
    with pytest.raises(OssFault) as caught:
        parse(body, "Delete")
    assert (caught.value.status, caught.value.code) == (400, "MalformedXML")


def test_answers_carry_no_namespace() -> None:
    assert b"xmlns" not in render(Element("A", [Element("B", 1), None, Element("C", "<&>")]))
    assert render(Element("A", "<&>\r")).endswith(b"<A>&lt;&amp;&gt;&#13;</A>")
