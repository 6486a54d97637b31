"""XML documents of object stores, parsed safely: bounded in size, without DTD or entities, namespaces ignored.

Stores quote object names in their documents, and names may hold control characters, which XML cannot carry; servers send
them all the same, raw or as character references. They are carried through the parser as Unicode noncharacters (U+FDD0 and
up: there are 32 of them, set aside for internal use) and turned back afterwards. Never opens anything a document refers to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree as ET

from penstock.errors import StoreUnavailableError
from penstock.stores.digits import number_of

DOCUMENT_MAX_BYTES = 16 << 20
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\r(?!\n)")
_CARRIED = {0xFDD0 + code: code for code in range(0x20)}
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")


class Document:
    """One element with its children, addressed by bare tag names."""

    def __init__(self, element: ET.Element) -> None:
        self._element = element

    @property
    def tag(self) -> str:
        """The element's name without its namespace."""
        return self._element.tag.rpartition("}")[2]

    def text(self, name: str, default: str = "") -> str:
        """Text of the first child called `name`; `default` where there is none."""
        child = self._child(name)
        return default if child is None else (child.text or "").translate(_CARRIED)

    def number(self, name: str) -> int:
        """A child's text as a number that is not negative. Raises StoreUnavailableError: the document is broken."""
        text = self.text(name)
        told = number_of(text)
        if told is None:
            raise StoreUnavailableError(f"the store's answer has no number in {name}: {text[:40]!r}")
        return told

    def children(self, *names: str) -> list[Document]:
        """Children called so, in the document's order."""
        return [child for child in map(Document, self._element) if child.tag in names]

    def child(self, name: str) -> Document | None:
        """The first child called `name`."""
        found = self._child(name)
        return None if found is None else Document(found)

    def _child(self, name: str) -> ET.Element | None:
        for child in self._element:
            if child.tag.rpartition("}")[2] == name:
                return child
        return None


def parse(content: bytes, *, max_bytes: int = DOCUMENT_MAX_BYTES) -> Document:
    """Parse one document. Raises StoreUnavailableError when it is none, is too long, or brings a DTD along."""
    if len(content) > max_bytes:
        raise StoreUnavailableError(f"the store's answer is longer than {max_bytes} bytes")
    text = content.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise StoreUnavailableError("the store's answer is an XML document with a DTD, which is not accepted")
    try:
        return Document(ET.fromstring(_fit(text)))  # noqa: S314 - no DTD gets here, so there are no entities to expand
    except ET.ParseError as error:
        raise StoreUnavailableError(f"the store's answer is not an XML document ({error})") from error


def complete_document(parts: Sequence[tuple[int, str, str]], *, checksum_element: str = "") -> bytes:
    """The body of CompleteMultipartUpload: part numbers, ETags and checksums (empty: left out), in order."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(_quoted(etag), quote=False)}</ETag>"
        + (
            f"<{checksum_element}>{escape(checksum, quote=False)}</{checksum_element}>"
            if checksum and checksum_element
            else ""
        )
        + "</Part>"
        for number, etag, checksum in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def restore_document(days: int) -> bytes:
    """The body of RestoreObject. Without a word on how quickly: each storage class has its own standard."""
    return f"<RestoreRequest><Days>{days}</Days></RestoreRequest>".encode()


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _fit(text: str) -> str:
    """Put carriers in the place of what XML cannot hold; drop the declaration in front with its encoding."""
    text = re.sub(r"^<\?xml[^>]*\?>", "", text).strip(" \t\r\n")
    return _UNFIT.sub(lambda match: _carrier(ord(match[0])), _REFERENCE.sub(_fit_reference, text))


def _fit_reference(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    legal = 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return match[0] if legal else _carrier(code)


def _carrier(code: int) -> str:
    return chr(0xFDD0 + code) if code < 0x20 else "\ufffd"
