"""`penstock top`: the overview in a terminal, drawn anew every two seconds. Asks the API alone, so it works from anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from penstock.cli.connection import Means, Service, find_service, with_means
from penstock.cli.interrupts import End
from penstock.errors import ApiRefusedError, ApiUnreachableError, SettingsError

MOVING_MAX = 40
TROUBLES_MAX = 20
SPEEDS_KEPT = 120
ANY = "*"
"""Stands for the file system where none was named: then all that the key sees are meant."""


@click.command()
@click.option("--once", is_flag=True, help="Print it once, and end; so it is where stdout is no terminal.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer, an object a line.")
@with_means
def top(means: Means, *, once: bool, every_s: float, as_json: bool) -> None:
    """Show what moves, what waits, how fast, what limits it, and what is wrong. Ends with q or Ctrl-C."""
    service = find_service(replace(means, file_system=means.file_system or ANY))
    with service.client:
        if as_json:
            _print_json(service, every_s, once=once)
        elif once or not sys.stdout.isatty():
            _print_once(service)
        else:
            with contextlib.suppress(KeyboardInterrupt), End() as end:
                _live(service, every_s, end)


def asked(service: Service) -> dict[str, Any]:
    """The overview. Raises SettingsError where the service has none."""
    parameters: dict[str, str | int] = {"MaxMoving": MOVING_MAX, "MaxTroubles": TROUBLES_MAX}
    if service.file_system_id != ANY:
        parameters["FileSystemId"] = service.file_system_id
    try:
        return service.client.call("DescribeOverview", parameters)
    except ApiRefusedError as error:
        if error.code != "InvalidApi.NotFound":
            raise
        raise SettingsError(
            "this service tells no overview: its fidelity is strict, or it is older; see: penstock task list"
        ) from error


def _print_json(service: Service, every_s: float, *, once: bool) -> None:
    while True:
        click.echo(json.dumps(asked(service), ensure_ascii=False))
        if once:
            return
        time.sleep(every_s)


def _print_once(service: Service) -> None:
    from rich.console import Console  # noqa: PLC0415  what draws is imported where something is drawn

    from penstock.cli.glance import Glance, lines  # noqa: PLC0415

    console = Console(highlight=False)
    width = console.width if sys.stdout.isatty() else 120
    for line in lines(Glance(answer=asked(service), endpoint=service.options.endpoint), width=width, height=1000):
        console.print(line, soft_wrap=True)


def _live(service: Service, every_s: float, end: End) -> None:
    from rich.console import Console, Group  # noqa: PLC0415  (see above)
    from rich.live import Live  # noqa: PLC0415

    from penstock.cli.glance import Glance, lines  # noqa: PLC0415

    console = Console(highlight=False)
    speeds: tuple[deque[int], deque[int]] = deque(maxlen=SPEEDS_KEPT), deque(maxlen=SPEEDS_KEPT)
    answer = asked(service)  # what is wrong with address or key is said before the screen is taken
    lost = ""
    with _keys() as typed, Live(console=console, screen=True, auto_refresh=False) as live:
        while not end.came:
            if not lost:
                speed = answer.get("Engine", {}).get("Speed", {})
                speeds[0].append(speed.get("BytesInPerSecond", 0))
                speeds[1].append(speed.get("BytesOutPerSecond", 0))
            glance = Glance(
                answer=answer, endpoint=service.options.endpoint, lost=lost, speeds_in=speeds[0], speeds_out=speeds[1]
            )
            live.update(Group(*lines(glance, width=console.width, height=console.height)), refresh=True)
            if _is_over(typed, every_s):
                return
            try:
                answer, lost = asked(service), ""
            except ApiUnreachableError as error:
                lost = str(error)


@contextlib.contextmanager
def _keys() -> Iterator[int]:
    """A descriptor on which single keys arrive; -1 where stdin is no terminal."""
    if not sys.stdin.isatty():
        yield -1
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _is_over(typed: int, pause_s: float) -> bool:
    """Whether q was typed during a pause. Any other key ends the pause."""
    if typed < 0:
        time.sleep(pause_s)
        return False
    return bool(select.select([typed], [], [], pause_s)[0]) and os.read(typed, 1) in {b"q", b"Q"}
