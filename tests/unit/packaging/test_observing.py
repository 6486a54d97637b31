"""Does everything that the dashboard shows and the alerts ask for exist, with those labels, and is every alert explained?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from penstock.telemetry.meters import METRICS, Metric, Shape

ROOT = Path(__file__).parents[3]
PACKAGING = ROOT / "packaging"
RULES = (PACKAGING / "prometheus-rules.yml").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((PACKAGING / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
BY_NAME = {metric.name: metric for metric in METRICS}
OF_PROMETHEUS = {"instance", "job", "le"}


def metric_of(name: str) -> Metric:
    """The metric whose series that is."""
    for metric in METRICS:
        series = [f"{metric.name}{end}" for end in ("_bucket", "_sum", "_count")]
        if (name == metric.name and metric.shape is not Shape.HISTOGRAM) or (
            metric.shape is Shape.HISTOGRAM and name in series
        ):
            return metric
    raise AssertionError(f"nobody tells {name}")


def judge(expression: str) -> None:
    used = re.findall(r"(penstock_\w+)(?:\{([^}]*)\})?", expression)
    assert used
    known = {label for name, _ in used for label in metric_of(name).labels} | OF_PROMETHEUS
    for name, selectors in used:
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors)) <= set(metric_of(name).labels) | OF_PROMETHEUS
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= known


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_shows_what_is_told(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        judge(target["expr"])
        assert (
            set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            <= {label for metric in METRICS for label in metric.labels} | OF_PROMETHEUS
        )


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + across, place["y"] + down) for across in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("expression", re.findall(r"expr: (?:>\n)?((?:.|\n {10})+)", RULES))
def test_every_alert_asks_for_what_is_told(expression: str) -> None:
    if not expression.startswith("up{"):
        judge(expression)


def test_every_alert_is_explained_and_no_other() -> None:
    operating = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(Penstock\w+)` \|", operating, re.MULTILINE)
    assert explained == re.findall(r"alert: (\w+)", RULES)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
@pytest.mark.parametrize("unit", ["penstock", "penstock-emulator"])
def test_units_are_understood_by_systemd(unit: str, tmp_path: Path) -> None:
    text = (PACKAGING / f"{unit}.service").read_text(encoding="utf-8")
    assert "/usr/local/bin/penstock" in text
    text = text.replace("/usr/local/bin/penstock", "/bin/true").replace("=penstock\n", "=root\n")
    (tmp_path / f"{unit}.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / f"{unit}.service")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, unit in done.stderr) == (0, False), done.stderr
