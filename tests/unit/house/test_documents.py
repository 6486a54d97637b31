"""Do the documents name what a user can meet: settings, failure codes, statuses, exit codes?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import SubTaskStatus
from penstock.settings.choices import rules
from penstock.telemetry.meters import METRICS

DOCS = Path(__file__).parents[3] / "docs"
OPERATING = (DOCS / "operating.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([A-Za-z_]+)`", OPERATING))


def section(title: str) -> str:
    """The text under one heading."""
    return OPERATING.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", list(rules()))
def test_every_setting_is_explained(name: str) -> None:
    assert name in WORDS


def test_no_setting_is_explained_that_does_not_exist() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", section("Settings"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(rules())


def test_every_failure_code_is_explained_and_no_other() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", section("Why a file did not move"), re.MULTILINE)
    assert sorted(code for row in rows for code in re.findall(r"`(\w+)`", row)) == sorted(FailureCode)


def test_every_metric_is_explained_as_it_is_told_and_no_other() -> None:
    rows = re.findall(r"^\| `(penstock_\w+)` \| (.*?) \| (.*?) \|$", section("Metrics"), re.MULTILINE)
    assert rows == [(metric.name, ", ".join(metric.labels), metric.help) for metric in METRICS]


def test_every_status_of_a_sub_task_is_explained() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \|", section("Reading a sub-task"), re.MULTILINE)
    assert sorted(rows) == sorted(SubTaskStatus)


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), DOCS.parent / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
