"""The tree of commands. A group's module is imported when one of its commands is asked for, so that `--help` is quick."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from penstock import __version__, start
from penstock.cli.failure import ending
from penstock.cli.wording import COMPLETE_VARIABLE, spoken, started_as

FIRST_STEPS = """\
\b
First steps:
  penstock init ~/penstock                  one key, one file system, one bucket to play with
  penstock serve ~/penstock                 leave it running; go on in another terminal
\b
  export PENSTOCK_HOME=~/penstock           tells the commands below which service is meant
  mkdir ~/penstock/filesystem/train         where imported files shall go
  penstock object put ~/penstock examplebucket file.xml data/file.xml
  penstock flow create /train/ oss://examplebucket/data/
  penstock task create FLOW import          FLOW is the id that the line before printed
  penstock subtask create TASK /file.xml --wait
  cat ~/penstock/filesystem/train/file.xml
\b
Exit codes:
  0 done   1 failed   2 wrong usage, or HOME was made already   3 HOME is in use   4 the service does not answer
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("penstock.cli.init:init", "Make a HOME: settings, a key, a file system, an embedded bucket."),
    "serve": ("penstock.cli.serve:serve", "Run the service of a HOME."),
    "filesystem": ("penstock.cli.filesystems:filesystem", "Add and list file systems."),
    "bucket": ("penstock.cli.buckets:bucket", "Add, try out and list buckets."),
    "key": ("penstock.cli.keys:key", "Add, list and revoke access keys of the API."),
    "profile": ("penstock.cli.profiles:profile", "Services elsewhere, by name, with the key for them."),
    "object": ("penstock.cli.objects:objects", "Put, get, list and remove objects of a bucket."),
    "fileset": ("penstock.cli.filesets:fileset", "Filesets: directories with an id."),
    "flow": ("penstock.cli.flows:flow", "Dataflows: bind a directory to a prefix of a bucket."),
    "task": ("penstock.cli.tasks:task", "Tasks: open streams on a dataflow."),
    "subtask": ("penstock.cli.subtasks:subtask", "Sub-tasks: move files, one by one."),
    "export": ("penstock.cli.moving:export", "Move files to a bucket, and show it until all are there."),
    "import": ("penstock.cli.moving:import_", "Move objects to the file system, and show it until all are there."),
    "compare": ("penstock.cli.comparing:compare", "Say what differs between a directory and a bucket; move nothing."),
    "watch": ("penstock.cli.watch:watch", "Export every file of a directory once it is completely written."),
    "top": ("penstock.cli.top:top", "Show what moves, how fast, and what is wrong, in a terminal."),
    "doctor": ("penstock.cli.doctor:doctor", "Look at all that a service stands on, and say how to mend it."),
    "backup": ("penstock.cli.backing:backup", "Back up the catalog and the settings, while the service runs."),
    "restore": ("penstock.cli.backing:restore", "Put a backup into a HOME, or make a HOME of it."),
    "completion": ("penstock.cli.completion:completion", "Print what completes commands in a shell."),
    "emulator": ("penstock.cli.emulator:emulator", "Run the bucket server alone, for trying things out."),
}


class Tree(click.Group):
    """The top of the tree, with groups that are loaded when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the order of a first day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(start.loaded(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is no command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands that begin so, without importing any; options of the program itself."""
        found = [
            CompletionItem(name, help=words) for name, (_, words) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first steps, as they can be typed here."""
        kept, self.epilog = self.epilog, spoken(self.epilog or "")
        super().format_epilog(ctx, formatter)
        self.epilog = kept

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(
    cls=Tree, epilog=FIRST_STEPS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="penstock")
def program() -> None:
    """Move files, one by one and whole or not at all, between file systems and object-storage buckets.

    Penstock is a self-hosted data-flow service: it speaks the dataflow API of CPFS for Lingjun (NAS 2017-06-26).
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with its exit code."""
    with ending() as outcome:
        ended = program.main(
            args=arguments, prog_name=started_as(), complete_var=COMPLETE_VARIABLE, standalone_mode=False
        )
        outcome.code = ended if isinstance(ended, int) else outcome.code  # click hands back the code of an Exit
    sys.exit(outcome.code)
