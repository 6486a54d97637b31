"""The plot: CPU seconds of every contestant as bars, in SVG. Reads plain rows, measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.scenarios.scenario import Row

BAR_HEIGHT, ROW_HEIGHT, LEFT, WIDTH = 14, 20, 150, 760
OURS, FLOOR, OTHERS = "#1f6f8b", "#7a8a94", "#b8c4cc"


def as_svg(contests: Sequence[Sequence[Row]]) -> str:
    """CPU seconds of every contestant, each contest by itself; shorter is better."""
    pieces: list[str] = []
    top = 24
    for contest in contests:
        first = contest[0]
        most = max(row["synced_cpu_s"] for row in contest)
        pieces.append(_text(10, top, f"{first['direction']} of {first['words']}: CPU seconds, made durable", "bold"))
        top += 8
        for row in sorted(contest, key=lambda row: float(row["synced_cpu_s"])):
            width = max(1.0, row["synced_cpu_s"] / most * (WIDTH - LEFT - 90))
            colour = OURS if row["name"].startswith("Penstock") else FLOOR if row["name"] == "floor" else OTHERS
            pieces.append(
                f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{colour}"/>'
                + _text(10, top + 11, row["name"], "normal")
                + _text(LEFT + width + 6, top + 11, f"{row['synced_cpu_s']:.2f} s", "normal")
            )
            top += ROW_HEIGHT
        top += 24
    body = "\n".join(pieces)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, weight: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{escape(words)}</text>'
