"""`penstock watch DIR`: exports every file once it is completely written, for as long as it runs.

Puts together what was asked for; the loop is `watching`. Speaks to the service through its API alone.
"""

from __future__ import annotations

import os
import signal
import time

import click

from penstock.cli import completing
from penstock.cli.connection import Service, with_service_at
from penstock.cli.interrupts import Interrupts
from penstock.cli.items import Item
from penstock.cli.lanes import Choice, Lanes
from penstock.cli.memory import Memory, memory_path
from penstock.cli.named_files import OURS, Tree
from penstock.cli.notices import Notices
from penstock.cli.roots import places_of, root_of
from penstock.cli.settling import Settling
from penstock.cli.tally import Tally
from penstock.cli.tasks import POLICIES
from penstock.cli.telling import JsonLines, Lines
from penstock.cli.watching import Watching, WatchOptions
from penstock.client import ConflictPolicy, Direction, Penstock
from penstock.client.finding import as_directory, storage_parts
from penstock.errors import SettingsError

IN_FLIGHT_MAX = 1024
HOW = """\
\b
Examples:
  penstock watch checkpoints/ --to oss://examplebucket/run-7/
  penstock watch . --exclude '*.tmp' --exclude 'logs/*' --json

A file is exported when whoever wrote it has closed it, or renamed it to its name, it was quiet for --settle seconds, and
nobody on this machine has it open for writing. Where the kernel tells nothing (files written on other machines), scans
find it. What was exported is remembered: a restart goes on where the last watch ended. SIGTERM or Ctrl-C ends it with 0
once what it handed over has ended, a second one at once; files that were handed over go on without it.
"""


@click.command(epilog=HOW)
@click.argument("directory", metavar="DIR")
@click.option("--to", metavar="STORAGE", help="Where to: oss://BUCKET/PREFIX/. [default: where a dataflow binds it to]")
@click.option("--flow", "flow_id", metavar="ID", shell_complete=completing.flows, help="Use this dataflow.")
@click.option(
    "--task",
    "task_id",
    metavar="ID",
    shell_complete=completing.tasks,
    help="Use this stream; its directories and its policy hold.",
)
@click.option(
    "--existing",
    type=click.Choice(list(POLICIES)),
    default="overwrite",
    show_default=True,
    help="What to do where an object exists: skip it, keep the latest, overwrite it.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out what fits: of the path beneath DIR, or of its last part.",
)
@click.option(
    "--settle",
    "settle_s",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=1.0,
    show_default=True,
    help="Seconds that a file has to be quiet.",
)
@click.option(
    "--rescan",
    "rescan_s",
    metavar="SECONDS",
    type=click.FloatRange(1, 86400),
    default=60.0,
    show_default=True,
    help="Seconds between two scans.",
)
@click.option(
    "--state", "state_file", metavar="FILE", help="Where to remember. [default: beneath ~/.local/state/penstock]"
)
@click.option(
    "--root", metavar="DIR", envvar="PENSTOCK_ROOT", help="Where the file system is mounted here. [env: PENSTOCK_ROOT]"
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line: plan, file, summary.")
@with_service_at(lambda asked: places_of(asked["root"], [asked["directory"]]))
def watch(
    service: Service,
    *,
    directory: str,
    to: str | None,
    flow_id: str | None,
    task_id: str | None,
    existing: str,
    exclude: tuple[str, ...],
    settle_s: float,
    rescan_s: float,
    state_file: str | None,
    root: str | None,
    as_json: bool,
) -> None:
    """Export every file beneath DIR once it is completely written, and go on until ended."""
    if not os.path.isdir(directory):
        raise SettingsError(f"{directory} is no directory")
    top = os.path.realpath(directory)
    tree = Tree(root=root_of(service, root, [top]), exclude=exclude)
    inner = as_directory(tree.inner(top))
    choice = Choice(
        direction=Direction.EXPORT,
        policy=ConflictPolicy(POLICIES[existing]),
        to=_storage(to),
        flow_id=flow_id or "",
        task_id=task_id or "",
    )
    teller = JsonLines() if as_json else Lines()
    with (
        Interrupts() as interrupts,
        Penstock.of(
            service.options, file_system_id=service.file_system_id, on_wait=teller.say, sleep=interrupts.sleep_or_end
        ) as penstock,
    ):
        lanes = Lanes(penstock, choice, in_flight_max=IN_FLIGHT_MAX, say=teller.say)
        way = lanes.way(Item(base=inner, name=""))
        stream = lanes.stream(way)
        state_home = os.environ.get("XDG_STATE_HOME", "")
        kept_in = state_file or memory_path(state_home, service.file_system_id, stream.facts.task_id, top)
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel asks for a lease back; each is given back at once

        def skips(name: str) -> bool:
            return os.path.basename(name).startswith(OURS) or tree.excludes(name)

        with Memory(kept_in) as memory, Notices(top, skips=skips, say=teller.say) as notices:
            watching = Watching(
                WatchOptions(top=top, base=inner, root=tree.root, rescan_s=rescan_s),
                stream=stream,
                way=way,
                memory=memory,
                notices=notices,
                settling=Settling(top, quiet_s=settle_s),
                teller=teller,
                tally=Tally(time.monotonic),
                interrupts=interrupts,
            )
            teller.say(f"watching {top}; what was exported is remembered in {kept_in}")
            watching.run()
            teller.sum_up(watching.tally)


def _storage(to: str | None) -> tuple[str, str] | None:
    try:
        return None if to is None else storage_parts(to)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from error
