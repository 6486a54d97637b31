"""XML documents: writing answers (no namespace, bare tags) and reading requests. No files, no network, no DTDs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from xml.etree import ElementTree

from penstock.emulator.protocol.errors import malformed_xml

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# XML 1.0 cannot hold these even as references; clients that use such keys ask for encoding-type=url.
_FORBIDDEN = "".join(map(chr, (*range(1, 9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)))
_HIDDEN = re.compile(f"([{_FORBIDDEN}])|&#x([0-9A-Fa-f]{{1,6}});|&#([0-9]{{1,7}});")
_STAND_INS = range(0x10FD00, 0xF0000, -0x100)  # private-use characters; the first block the document does not use
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Element:
    """One tag with text or children."""

    __slots__ = ("content", "tag")

    def __init__(self, tag: str, content: str | int | Iterable[Element | None] = "") -> None:
        self.tag = tag
        self.content = content

    def write(self, out: list[str]) -> None:
        """Append this element's text to `out`."""
        if isinstance(self.content, str | int):
            text = escape(str(self.content), quote=False).replace("\r", "&#13;")
            out.append(f"<{self.tag}>{_UNPRINTABLE.sub(_reference, text)}</{self.tag}>")
            return
        out.append(f"<{self.tag}>")
        for child in self.content:
            if child is not None:
                child.write(out)
        out.append(f"</{self.tag}>")


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match.group())};"


def render(root: Element) -> bytes:
    """The document with its declaration, UTF-8."""
    out = [DECLARATION]
    root.write(out)
    return "".join(out).encode("utf-8", "replace")


def parse(body: bytes, root_tag: str) -> ElementTree.Element:
    """The root element of `body`, tags without namespaces. Raises OssFault 400 MalformedXML.

    Keys may hold characters that XML 1.0 forbids and OSS takes all the same (controls, U+FFFE, U+FFFF), bare or as
    references: the parser sees stand-ins for them.
    """
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise malformed_xml("Document type declarations are not accepted.")
    try:
        text = body.decode("utf-8")
        stand_in = next(
            base for base in _STAND_INS if not any(chr(base + code) in text for code in range(len(_FORBIDDEN)))
        )
        root = ElementTree.fromstring(_hide(text, stand_in))  # noqa: S314 - bounded, and without entities
    except (ElementTree.ParseError, ValueError, LookupError, StopIteration) as error:
        raise malformed_xml(f"The document cannot be read: {error}.") from None
    shown = {stand_in + code: character for code, character in enumerate(_FORBIDDEN)}
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = element.text and element.text.translate(shown)
    if root.tag != root_tag:
        raise malformed_xml(f"The document is a {root.tag[:64]}, not a {root_tag}.")
    return root


def _hide(text: str, stand_in: int) -> str:
    def hide(match: re.Match[str]) -> str:
        bare, hexadecimal, decimal = match.groups()
        code = ord(bare) if bare else int(hexadecimal, 16) if hexadecimal else int(decimal)
        character = chr(min(code, 0x10FFFF))
        return chr(stand_in + _FORBIDDEN.index(character)) if character in _FORBIDDEN else match.group()

    return _HIDDEN.sub(hide, text)


def text_of(element: ElementTree.Element, tag: str) -> str:
    """The text of a required child. Raises OssFault 400 MalformedXML."""
    found = element.findtext(tag)
    if found is None:
        raise malformed_xml(f"{element.tag} lacks {tag}.")
    return found


def children(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """The children of this tag; any other child is malformed. Raises OssFault 400 MalformedXML."""
    for child in element:
        if child.tag != tag:
            raise malformed_xml(f"{element.tag} holds {child.tag[:64]}, not {tag}.")
        yield child
