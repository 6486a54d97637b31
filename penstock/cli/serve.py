"""`penstock serve`: run the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from penstock import failpoints, telemetry
from penstock.app.service import ServeOptions, serve_home
from penstock.cli.arguments import HOME
from penstock.cli.output import need_stdout
from penstock.settings.reading import open_home


@click.command()
@HOME
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API; 0 = any free one. [default: 8680]")
@click.option(
    "--emulator-port",
    type=click.IntRange(0, 65535),
    help="Port of the embedded bucket server; 0 = any free one. [default: 8681]",
)
@click.option(
    "--console-port",
    type=click.IntRange(0, 65535),
    help="Port of the console; 0 = any free one. [default: that of console_listen; any free one with --port 0]",
)
def serve(*, home: Path, port: int | None, emulator_port: int | None, console_port: int | None) -> None:
    """Run the service of HOME until SIGTERM or Ctrl-C.

    When everything accepts, one JSON line is printed on stdout: {"api": URL, "console": URL or null, "oss": URL or null}.
    The log goes to stderr. The ports' defaults are in HOME/penstock.toml (8680, 8681 and 8682).
    """
    need_stdout()
    telemetry.configure(sys.stderr)
    traps = os.environ.get(failpoints.VARIABLE, "")
    options = ServeOptions(port=port, emulator_port=emulator_port, console_port=console_port, traps=traps)
    serve_home(open_home(home), options)
