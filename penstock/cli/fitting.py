"""Text in so many columns of a terminal, where some letters (CJK, emoji) take two and some none."""

from __future__ import annotations

from rich.cells import cell_len


def width_of(text: str) -> int:
    """How many columns it takes."""
    return cell_len(text)


def shortened(text: str, cells: int) -> str:
    """Text in so many columns at most; the middle is left out, since a path's end tells most."""
    if cell_len(text) <= cells:
        return text
    tail = ""
    for letter in reversed(text):
        if cell_len(letter + tail) > (cells - 1) * 2 // 3:
            break
        tail = letter + tail
    head = ""
    for letter in text:
        if cell_len(head + letter) > cells - 1 - cell_len(tail):
            break
        head += letter
    return f"{head}…{tail}"


def padded(text: str, cells: int) -> str:
    """The same in just so many columns."""
    fitting = shortened(text, cells)
    return fitting + " " * (cells - cell_len(fitting))
