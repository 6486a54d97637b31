"""`penstock doctor`: what is wrong, and the command that mends it. Looks through `app.doctor`; changes nothing but probes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from penstock.app.doctor.examining import Look, Progress, examine
from penstock.app.doctor.findings import Finding, Grade, is_at_least, worst
from penstock.app.doctor.rounds import looks_at_home, looks_from_outside
from penstock.cli.bars import spinner
from penstock.cli.connection import Means, find_service, with_means
from penstock.cli.failure import ExitCode
from penstock.cli.output import note, print_json, visible
from penstock.cli.wording import spoken
from penstock.settings.reading import open_home

COLOURS = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.PROBLEM: "red"}
WIDTH = 120
INDENT = " " * 9


@click.command()
@click.argument("place", metavar="[HOME]", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all findings, and the worst grade.")
@click.option("--quiet", is_flag=True, help="Leave out what is as it should be.")
@click.option(
    "--fail-on",
    type=click.Choice([Grade.PROBLEM.value, Grade.WARNING.value]),
    default=Grade.PROBLEM.value,
    show_default=True,
    help="From which grade on to exit with 1.",
)
@with_means
def doctor(means: Means, place: Path | None, *, as_json: bool, quiet: bool, fail_on: str) -> None:
    """Look at everything a service stands on, and say how to mend what is wrong.

    With HOME, on its machine: settings, rights of files, the disk, limits, ports, the running service, the catalog, each file
    system and each bucket. Without it, by --profile or --endpoint: what can be seen from outside. Nothing is changed; probe
    objects and files (.penstock-probe-*) are written and removed again. What hangs is given up within a minute.

    Exits with 0 when nothing is wrong, with 1 when something is (see --fail-on).
    """
    looks = _looks(replace(means, home=place, typed=means.typed | {"home"}) if place is not None else means)
    found = _examined(looks, shown=not as_json, quiet=quiet)
    grade = worst(found)
    if as_json:
        print_json({"worst": grade.value, "findings": [asdict(each) for each in found]})
    else:
        counts = {each: sum(finding.grade is each for finding in found) for each in Grade}
        note(", ".join(f"{count} {_plural(each, count)}" for each, count in counts.items() if count))
    if is_at_least(grade, Grade(fail_on)):
        raise click.exceptions.Exit(ExitCode.FAILED)


def _looks(means: Means) -> Sequence[Look]:
    if means.home is not None and not {"profile", "endpoint"} & means.typed:
        return looks_at_home(open_home(means.home))
    return looks_from_outside(find_service(replace(means, file_system=means.file_system or "any")).options)


def _examined(looks: Sequence[Look], *, shown: bool, quiet: bool) -> list[Finding]:
    found: list[Finding] = []
    with spinner("looking") as moving:
        for findings in examine(looks, on_progress=lambda progress: moving.tell(_words(progress))):
            found += findings
            told = [each for each in findings if shown and not (quiet and each.grade is Grade.OK)]
            if told:
                with moving.hidden():
                    for finding in told:
                        _print(finding)
    return found


def _words(progress: Progress) -> str:
    return f"{progress.done} of {progress.total}: {', '.join(progress.under_way)}"


def _print(finding: Finding) -> None:
    """Grade, what it is about, what was seen; what mends it in a line of its own, so that it can be copied."""
    grade = click.style(f"{finding.grade.value:<7}", fg=COLOURS[finding.grade], bold=finding.grade is not Grade.OK)
    text = f"{finding.about}: {visible(finding.words)}"
    lines = textwrap.wrap(spoken(text), WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False)
    click.echo(f"{grade}  " + f"\n{INDENT}".join(lines))
    if finding.mend:
        click.echo(f"{INDENT}{click.style('mend:', bold=True)} {visible(spoken(finding.mend))}")


def _plural(grade: Grade, count: int) -> str:
    return grade.value if grade is Grade.OK or count == 1 else f"{grade.value}s"
