"""encoding-type=url: keys percent-encoded in answers, because XML cannot hold every key. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import invalid_argument


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How one answer writes keys, prefixes, markers and delimiters."""

    name: str

    @classmethod
    def of(cls, asked: str) -> Encoding:
        """Raises OssFault 400 InvalidArgument for anything but `url` or nothing."""
        if asked not in {"", "url"}:
            raise invalid_argument("encoding-type is url.", name="encoding-type", value=asked)
        return cls(name=asked)

    def text(self, raw: bytes) -> str:
        """`raw` the way this answer writes it; a space becomes %20, never a plus."""
        return quote(raw, safe="") if self.name else raw.decode("utf-8", "replace")

    def note(self) -> list[Element]:
        """The element that tells the client to decode."""
        return [Element("EncodingType", self.name)] if self.name else []
