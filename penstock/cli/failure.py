"""How a command ends: the exit code, and one sentence on stderr when it failed.

0 done, 1 failed, 2 wrong usage or HOME made already, 3 HOME in use, 4 the service does not answer, 5 processes were left behind,
130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from enum import IntEnum

import click

from penstock.cli.wording import spoken
from penstock.errors import (
    ApiRefusedError,
    ApiUnreachableError,
    HomeExistsError,
    HomeInUseError,
    LeftBehindError,
    PenstockError,
)


class ExitCode(IntEnum):
    """What scripts may rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    HOME_IN_USE = 3
    UNREACHABLE = 4
    LEFT_BEHIND = 5
    INTERRUPTED = 130


class Outcome:
    """Filled in by `ending`."""

    __slots__ = ("code",)

    def __init__(self) -> None:
        self.code = int(ExitCode.DONE)


@contextlib.contextmanager
def ending() -> Iterator[Outcome]:
    """Turns what a command raises into an exit code and a message; a defect of ours keeps its traceback."""
    outcome = Outcome()
    try:
        yield outcome
        if sys.stdout is not None:  # it was closed by whoever started us
            sys.stdout.flush()
    except click.exceptions.Exit as error:
        outcome.code = error.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        outcome.code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        outcome.code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.code = ExitCode.FAILED
    except PenstockError as error:
        click.echo(explain(error), err=True)
        outcome.code = exit_code_of(error)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        click.echo(f"penstock: {name}{error.strerror or error}", err=True)
        outcome.code = ExitCode.FAILED


def exit_code_of(error: PenstockError) -> ExitCode:
    """The exit code for a refusal."""
    if isinstance(error, HomeExistsError):
        return ExitCode.USAGE
    if isinstance(error, HomeInUseError):
        return ExitCode.HOME_IN_USE
    if isinstance(error, ApiUnreachableError):
        return ExitCode.UNREACHABLE
    if isinstance(error, LeftBehindError):
        return ExitCode.LEFT_BEHIND
    return ExitCode.FAILED


def explain(error: PenstockError) -> str:
    """What happened, in the order in which a person needs it."""
    return spoken(_explained(error))


def _explained(error: PenstockError) -> str:
    if isinstance(error, ApiRefusedError):
        lines = [f"penstock: {error.code}: {error}"]
        if error.request_id:
            lines.append(f"  request id: {error.request_id}")
        if error.hint:
            lines.append(f"  hint: {error.hint}")
        return "\n".join(lines)
    return f"penstock: {error}"
