"""`penstock completion bash | zsh | fish`: the script that makes a shell ask this program what may come next."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from penstock.cli.output import note
from penstock.cli.wording import COMPLETE_VARIABLE, started_as

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(*, shell: str) -> None:
    """Print what completes commands in SHELL: names, options, and ids of dataflows, tasks and sub-tasks that exist.

    \b
    For this shell alone:  eval "$(penstock completion bash)"
    For good:              penstock completion bash > ~/.local/share/bash-completion/completions/penstock
                           penstock completion zsh > ~/.zfunc/_penstock   (~/.zfunc in fpath, before compinit)
                           penstock completion fish > ~/.config/fish/completions/penstock.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"{shell} is not known")
    maker = made(click.Command("penstock"), {}, "penstock", COMPLETE_VARIABLE)
    click.echo(maker.source_template % maker.source_vars())
    if started_as() != "penstock":
        note(f"it completes the command penstock; this one was started as {started_as()}: put its directory into PATH")
