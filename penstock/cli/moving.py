"""`penstock import SRC...` and `penstock export SRC...`: files move, and the command shows it until all have ended.

Puts together what was asked for: which files (`items`), where to (`lanes`), how it is told (`telling`, `display`), and the
loop (`batch`). Speaks to the service through its API alone, but for listing buckets, which needs HOME.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import click

from penstock.cli import completing
from penstock.cli.batch import Batch
from penstock.cli.connection import Service, with_service_at
from penstock.cli.failure import ExitCode
from penstock.cli.feeding import listed_names
from penstock.cli.interrupts import Interrupts
from penstock.cli.items import FILE_SYSTEM, Item, Unfit
from penstock.cli.lanes import Choice, Lanes
from penstock.cli.named_files import Tree, files_listed, files_named
from penstock.cli.named_objects import Shore, objects_named
from penstock.cli.output import note, size, visible
from penstock.cli.roots import places_of, root_of
from penstock.cli.tally import LEFT_OUT, Tally
from penstock.cli.tasks import POLICIES
from penstock.cli.telling import CsvSheet, JsonLines, Lines, Teller
from penstock.client import ConflictPolicy, Direction, Penstock
from penstock.client.finding import as_directory, storage_parts
from penstock.errors import NotReadyError, SettingsError
from penstock.settings.home import Home

F = TypeVar("F", bound=Callable[..., Any])
STDIN = "-"
IN_FLIGHT_MAX = 4096
SHOWN_MAX = 20

EXPORT_EXAMPLES = """\
\b
Examples:
  penstock export step-100.pt --to oss://examplebucket/run-7/
  penstock export checkpoints/ 'logs/**/*.txt'         to where a dataflow binds them already
  find . -name '*.pt' -print0 | penstock export - --null --to oss://examplebucket/run-7/
  penstock export fs:/train/a.bin                      as the file system has it, where it is not mounted here
"""
IMPORT_EXAMPLES = """\
\b
Examples:
  penstock import oss://examplebucket/data/file.xml
  penstock import oss://examplebucket/data/ --to train/         all that lies beneath data/ (needs HOME to list it)
  penstock import 'oss://examplebucket/data/*.tar' --existing skip
  cat keys.txt | penstock import - --base oss://examplebucket/data/
"""
ENDS = """
The exit code is 0 if all are COMPLETE (kept ones too), 1 if one is not, 4 if the service does not answer, 130 after Ctrl-C.
Ctrl-C asks whether to leave the files to the service, to cancel them, or to go on; a second one leaves.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, besides the sources."""

    direction: Direction
    sources: tuple[str, ...]
    to: str | None
    flow_id: str | None
    task_id: str | None
    existing: str
    base: str | None
    null: bool
    exclude: tuple[str, ...]
    root: str | None
    dry_run: bool
    as_json: bool
    summary_csv: str | None


def with_options(command: F) -> F:
    """The options that both commands have."""
    for option in reversed(
        [
            click.argument("sources", nargs=-1, required=True, metavar="SRC..."),
            click.option("--flow", "flow_id", metavar="ID", shell_complete=completing.flows, help="Use this dataflow."),
            click.option(
                "--task",
                "task_id",
                metavar="ID",
                shell_complete=completing.tasks,
                help="Use this stream; its directories and its policy hold.",
            ),
            click.option(
                "--existing",
                type=click.Choice(list(POLICIES)),
                default="overwrite",
                show_default=True,
                help="What to do where a target exists: skip it, keep the latest, overwrite it.",
            ),
            click.option(
                "-0", "--null", is_flag=True, help="The list on stdin is separated by NUL, as of find -print0."
            ),
            click.option(
                "--exclude", multiple=True, metavar="PATTERN", help="Leave out what fits, where directories are read."
            ),
            click.option(
                "--root",
                metavar="DIR",
                envvar="PENSTOCK_ROOT",
                help="Where the file system is mounted here. [env: PENSTOCK_ROOT]",
            ),
            click.option(
                "--dry-run", is_flag=True, help="Say what would be moved, and by which dataflow; change nothing."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line: plan, file, summary."),
            click.option(
                "--summary-csv",
                metavar="FILE",
                type=click.Path(dir_okay=False, allow_dash=True),
                help="Write a row for each file: status, bytes, CRC-64.",
            ),
        ]
    ):
        command = option(command)
    return command


@click.command(name="export", epilog=EXPORT_EXAMPLES + ENDS)
@click.option("--to", metavar="STORAGE", help="Where to: oss://BUCKET/PREFIX/. [default: where a dataflow binds it to]")
@click.option("--base", metavar="DIR", help="Keep names relative to DIR. [default: to what is named]")
@with_options
@with_service_at(lambda asked: places_of(asked["root"], _places(Direction.EXPORT, asked["sources"], asked["to"])))
def export(service: Service, /, **asked: Any) -> None:
    """Move files to a bucket, and show it until all are there.

    SRC is a file, a directory (with all that lies beneath it), a glob, or - for a list on stdin. A file keeps its path relative
    to the directory that was named, and its name if it was named itself. A dataflow and a stream that fit are found, or made.
    """
    raise click.exceptions.Exit(moved(service, Asked(direction=Direction.EXPORT, **asked)))


@click.command(name="import", epilog=IMPORT_EXAMPLES + ENDS)
@click.option("--to", metavar="DIR", help="Where to, beneath the file system. [default: where a dataflow binds it to]")
@click.option(
    "--base", metavar="STORAGE", help="Keep names relative to oss://BUCKET/PREFIX/; names may be relative to it."
)
@with_options
@with_service_at(lambda asked: places_of(asked["root"], _places(Direction.IMPORT, asked["sources"], asked["to"])))
def import_(service: Service, /, **asked: Any) -> None:
    """Move objects of a bucket to the file system, and show it until all are there.

    SRC is an object (oss://BUCKET/KEY), what lies beneath a prefix (oss://BUCKET/PREFIX/), a glob, or - for a list on stdin. An
    object keeps its path relative to the prefix that was named. A dataflow and a stream that fit are found, or made.
    """
    raise click.exceptions.Exit(moved(service, Asked(direction=Direction.IMPORT, **asked)))


def moved(service: Service, asked: Asked) -> ExitCode:
    """Carry it out. Raises what the client raises, and SettingsError."""
    if asked.flow_id and asked.task_id:
        raise click.UsageError("--task names a stream, and with it its dataflow: leave out --flow")
    if asked.task_id and asked.to:
        raise click.UsageError("where to is the stream's own (--task): leave out --to")
    tree = _tree(service, asked)
    choice = _choice(asked, tree)
    with contextlib.ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        teller = _teller(asked)
        penstock = stack.enter_context(
            Penstock.of(
                service.options,
                file_system_id=service.file_system_id,
                on_wait=teller.say,
                sleep=interrupts.sleep,
            )
        )
        lanes = Lanes(penstock, choice, in_flight_max=IN_FLIGHT_MAX, say=teller.say)
        items = _items(service, asked, tree)
        if asked.dry_run:
            return foretold(lanes, items)
        sheet = stack.enter_context(CsvSheet(asked.summary_csv)) if asked.summary_csv is not None else None
        batch = Batch(lanes, teller, interrupts, sheet=sheet, tally=Tally(time.monotonic))
        with teller:
            code = batch.run(items)
            teller.sum_up(batch.tally)
    if not batch.tally.found:
        note("nothing was found that could be moved")
    return code


def foretold(lanes: Lanes, items: Iterable[Item | Unfit]) -> ExitCode:
    """What would be moved, and how; nothing is changed."""
    ways: Counter[str] = Counter()
    names: dict[tuple[str, str], str] = {}
    count, count_bytes, unfit = 0, 0, 0
    for item in items:
        try:
            if isinstance(item, Unfit):
                raise SettingsError(item.why)
            way = lanes.way(item)
            base = (item.storage, item.base)
            names[base] = names.get(base) or lanes.foreseen(way)
        except (SettingsError, NotReadyError) as error:
            unfit += not (isinstance(item, Unfit) and item.status == LEFT_OUT)
            note(f"{visible(item.name)}: {error}")
            continue
        ways[names[base]] += 1
        if count < SHOWN_MAX:
            click.echo(f"{visible(item.storage + item.path)} -> {visible(way.file(item).target)}")
        count += 1
        count_bytes += item.size_bytes or 0
    if count > SHOWN_MAX:
        click.echo(f"and {count - SHOWN_MAX} more")
    for words, number in ways.items():
        click.echo(f"{number} by {words}")
    click.echo(f"{count} files, {size(count_bytes)}, would be moved; {unfit} cannot be. Nothing was changed.")
    return ExitCode.FAILED if unfit or not count else ExitCode.DONE


# ------------------------------------------------------------------------------------------------------ put together


def _teller(asked: Asked) -> Teller:
    if asked.as_json:
        return JsonLines()
    if not sys.stderr.isatty() or not sys.stdout.isatty():
        return Lines()
    from penstock.cli.display import Live  # noqa: PLC0415  what draws is imported where there is something to draw on

    return Live()


def _tree(service: Service, asked: Asked) -> Tree:
    root = root_of(service, asked.root, _places(asked.direction, asked.sources, asked.to))
    base = asked.base if asked.direction is Direction.EXPORT and asked.base else ""
    return Tree(root=root, base=base, exclude=asked.exclude)


def _places(direction: Direction, sources: Iterable[str], to: str | None) -> list[str]:
    """What was named of the file system: sources, or where to."""
    return [each for each in (sources if direction is Direction.EXPORT else [to or "."]) if each != STDIN]


def _choice(asked: Asked, tree: Tree) -> Choice:
    to: tuple[str, str] | None = None
    if asked.to is not None and asked.direction is Direction.EXPORT:
        try:
            to = storage_parts(asked.to)
        except ValueError as error:
            raise click.UsageError(f"--to: {error}") from error
    elif asked.to is not None:
        to = ("", _directory(asked.to, tree))

    def make_directory(directory: str) -> None:
        """Where the files go, unless it is there. Never as somebody whose directories the service may not write to."""
        path = tree.root + directory
        if not tree.root or os.path.isdir(path):
            return
        if os.stat(tree.root).st_uid != os.geteuid():
            raise SettingsError(f"the directory {path} is not there: make it first, as whoever the service runs as")
        os.makedirs(path)

    return Choice(
        direction=asked.direction,
        policy=ConflictPolicy(POLICIES[asked.existing]),
        to=to,
        flow_id=asked.flow_id or "",
        task_id=asked.task_id or "",
        make_directory=make_directory,
    )


def _directory(named: str, tree: Tree) -> str:
    """A directory of the file system, named as this machine has it, or as `fs:/…`."""
    return as_directory(named.removeprefix(FILE_SYSTEM) if named.startswith(FILE_SYSTEM) else tree.inner(named))


def _items(service: Service, asked: Asked, tree: Tree) -> Iterator[Item | Unfit]:
    shore = Shore(lister=partial(_listed, service.home), base=asked.base or "", exclude=asked.exclude)
    for source in asked.sources:
        if source == STDIN:
            names = listed_names(sys.stdin.buffer, null=asked.null)
            yield from objects_named(names, shore) if asked.direction is Direction.IMPORT else files_listed(names, tree)
        elif asked.direction is Direction.IMPORT:
            yield from objects_named([source], shore)
        else:
            yield from files_named([source], tree)


def _listed(home: Home | None, storage: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Keys and sizes beneath a prefix: the API lists none, so the bucket itself is asked, as HOME registers it."""
    if home is None:
        raise SettingsError(
            "what lies in a bucket is listed with --home HOME, on the service's machine; elsewhere name objects, or pipe a list: "
            "… | penstock import - --base oss://BUCKET/PREFIX/"
        )
    from penstock.app.reaching import reach_bucket  # noqa: PLC0415  only what lists needs a store

    with reach_bucket(home, storage.partition("://")[2].rpartition(":")[2]) as store:
        token = ""
        while True:
            page = store.list_objects(prefix=prefix, token=token)
            for found in page.objects:
                yield found.key, found.size_bytes
            token = page.next_token
            if not token:
                return
