"""The one owner there is, as answers tell of it. Calls nothing."""

from __future__ import annotations

from penstock.emulator.protocol.documents import Element
from penstock.emulator.service import OWNER


def owner() -> Element:
    """The one owner there is."""
    return Element("Owner", [Element("ID", OWNER), Element("DisplayName", OWNER)])
