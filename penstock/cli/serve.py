"""`penstock serve`: run the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from penstock import failpoints, telemetry
from penstock.app.service import ServeOptions, serve_home
from penstock.app.standin.mark import Adoption
from penstock.cli.output import need_stdout
from penstock.settings.reading import open_home


@click.command()
@click.argument("home", type=click.Path(path_type=Path), required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the API; 0 = any free one. [default: 8680; any free one without HOME]",
)
@click.option(
    "--emulator-port",
    type=click.IntRange(0, 65535),
    help="Port of the embedded bucket server; 0 = any free one. [default: 8681; any free one without HOME]",
)
@click.option(
    "--console-port",
    type=click.IntRange(0, 65535),
    help="Port of the console; 0 = any free one. [default: that of console_listen; any free one with --port 0]",
)
@click.option("--stand-in", is_flag=True, help="Be a stand-in for the cloud, for tests of programs. Not for real data.")
@click.option("--seed", type=int, help="With --stand-in: the same calls get the same ids.")
@click.option("--adopt", is_flag=True, help="With --stand-in: turn a HOME that is none into a stand-in's, for ever.")
@click.option("--ends-with-stdin", is_flag=True, help="With --stand-in: end when stdin does.")
def serve(
    *,
    home: Path | None,
    port: int | None,
    emulator_port: int | None,
    console_port: int | None,
    stand_in: bool,
    seed: int | None,
    adopt: bool,
    ends_with_stdin: bool,
) -> None:
    """Run the service of HOME until SIGTERM or Ctrl-C.

    When everything accepts, one JSON line is printed on stdout: {"api": URL, "console": URL or null, "oss": URL or null}.
    The log goes to stderr. The ports' defaults are in HOME/penstock.toml (8680, 8681 and 8682).

    With --stand-in faults can be armed, the clock be advanced and everything be reset (docs/stand-in.md). HOME is made where it
    is not there yet; without HOME it is a temporary directory, removed in the end. The line then tells key, bucket and root, too.
    """
    need_stdout()
    telemetry.configure(sys.stderr)
    traps = os.environ.get(failpoints.VARIABLE, "")
    options = ServeOptions(port=port, emulator_port=emulator_port, console_port=console_port, traps=traps)
    if not stand_in:
        if seed is not None or adopt or ends_with_stdin:
            raise click.UsageError("--seed, --adopt and --ends-with-stdin are for --stand-in.")
        if home is None:
            raise click.UsageError("HOME is missing: penstock init HOME makes one, and --stand-in needs none.")
        serve_home(open_home(home), options)
        return
    # What only a stand-in has is imported by those that are one.
    from penstock.app.standin.service import StandInOptions  # noqa: PLC0415
    from penstock.app.standin.serving import serve_stand_in  # noqa: PLC0415

    chosen = StandInOptions(seed=seed, ends_with_stdin=ends_with_stdin)
    serve_stand_in(home, options, chosen, adoption=Adoption.ASKED_FOR if adopt else Adoption.REFUSED)
