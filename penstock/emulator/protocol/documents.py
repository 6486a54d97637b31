"""XML documents: writing answers (no namespace, bare tags) and reading requests. No files, no network, no DTDs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from penstock.emulator.protocol.errors import malformed_xml

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# XML 1.0 cannot hold these even as references; clients that use such keys ask for encoding-type=url.
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
            text = escape(str(self.content), {"\r": "&#13;"})
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
    """The root element of `body`, tags without namespaces. Raises OssFault 400 MalformedXML."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise malformed_xml("Document type declarations are not accepted.")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - bounded, and without entities
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise malformed_xml(f"The document cannot be read: {error}.") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != root_tag:
        raise malformed_xml(f"The document is a {root.tag[:64]}, not a {root_tag}.")
    return root


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
