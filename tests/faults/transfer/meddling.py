"""What others do to the path that `transfer()` points to, behind an attempt's back."""

from __future__ import annotations

from tests.fixtures.gate import Gate


def a_directory(gate: Gate) -> None:
    """It is one now."""
    gate.target.unlink()
    gate.target.mkdir()


def behind_a_link(gate: Gate) -> None:
    """The file has another name, to which its old one leads."""
    gate.target.rename(gate.base / "elsewhere")
    gate.target.symlink_to("elsewhere")
