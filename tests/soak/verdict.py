"""What a soak says at its end, as text for a person and for docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.soak.errands import Finding, Wrong
from tests.soak.gauges import SAMPLES_MIN, Trend

BEGIN, END = "<!-- soak begin -->", "<!-- soak end -->"
SHOWN_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All that a soak found out. `no_disks` is why no disk was troubled, empty where some were."""

    seed: int
    minutes: float
    endings: Counter[str]
    kinds: Counter[str]
    moved_bytes: int
    waves: int
    troubles: Counter[str]
    lies: int
    lives: int
    findings: Sequence[Finding]
    trends: Sequence[Trend]
    no_disks: str

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        found = Counter(finding.wrong for finding in self.findings)
        rows = [
            ("minutes", f"{self.minutes:.1f}"),
            ("seed", f"{self.seed}"),
            ("sub-tasks ended", f"{self.endings.total():,} in {self.waves:,} waves"),
            *((f"of them {status}", f"{count:,}") for status, count in sorted(self.endings.items())),
            *((name, f"{count:,}") for name, count in sorted(self.kinds.items())),
            ("bytes moved", f"{self.moved_bytes / (1 << 30):.2f} GiB"),
            *((name, f"{count:,}") for name, count in sorted(self.troubles.items())),
            ("lies and broken answers of the store", f"{self.lies:,}"),
            ("lives of the service", f"{self.lives:,}"),
            *((("disks", f"NOT TRIED, this machine lets us mount nothing: {self.no_disks}"),) if self.no_disks else ()),
            *((f"**{wrong}**", f"**{found.get(wrong, 0)}**") for wrong in Wrong),
            *((f"{trend.kind}, while nothing died", _level(trend)) for trend in self.trends),
        ]
        table = ["| what | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
        listed = [f"{finding.wrong}: {finding.words}" for finding in self.findings[:SHOWN_MAX]]
        word = "**Nothing lost, nothing torn, nothing left behind.**" if self.is_good else "**It did not hold.**"
        return "\n".join([*table, "", word, *listed])


def _level(trend: Trend) -> str:
    mebibytes = f"{trend.first_bytes / (1 << 20):.0f} → {trend.last_bytes / (1 << 20):.0f} MiB"
    doubt = "" if trend.samples >= SAMPLES_MIN else " (too short to judge)"
    return f"{mebibytes}, {trend.first_descriptors} → {trend.last_descriptors} descriptors{doubt}"


def put_into(page: str, verdict: Verdict) -> str:
    """The page with the verdict between its marks. Raises ValueError where it has none."""
    before, found, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{verdict}\n{END}{after}"
