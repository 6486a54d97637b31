"""`penstock backup` and `penstock restore`: the catalog, settings and, by choice, secrets of a HOME, out of it and back."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from penstock.app.backing_up import Secrets, back_up
from penstock.app.backup_file import SETTINGS
from penstock.app.restoring import Extent, Restored
from penstock.app.restoring import restore as restore_backup
from penstock.cli.arguments import HOME
from penstock.cli.bars import phase_bar
from penstock.cli.output import moment, note, print_json, size, warn
from penstock.settings.reading import open_home

BACKUP = click.argument("backup", type=click.Path(exists=True, path_type=Path))


@click.command()
@HOME
@click.argument("target", metavar="FILE.tar|DIR", type=click.Path(path_type=Path))
@click.option("--with-secrets", is_flag=True, help="Take keys, credentials and the private key of TLS too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def backup(*, home: Path, target: Path, with_secrets: bool, as_json: bool) -> None:
    """Back up the catalog and the settings of HOME, while its service runs or not.

    What is written is the catalog as it is at one moment, checked, and on the disk when this ends; then its path is printed.
    A target that ends with .tar becomes one file; a directory that is there gets one with the time in its name; any other
    becomes a directory. Without --with-secrets a HOME that is lost needs its keys and credentials from somewhere else.
    Objects of embedded buckets and files of file systems are not in it.
    """
    opened = open_home(home)
    with phase_bar() as tell:
        made = back_up(
            opened,
            target,
            secrets=Secrets.TAKEN if with_secrets else Secrets.LEFT_OUT,
            tell=tell,
        )
    if as_json:
        told = {"path": str(made.path), "size": made.size_bytes, "schema": made.manifest.schema}
        print_json({**told, "secrets": made.manifest.has_secrets, "files": sorted(made.manifest.files)})
    else:
        click.echo(made.path)
    note(
        f"{size(made.size_bytes)}, schema {made.manifest.schema}; restore it with: "
        f"penstock restore {shlex.quote(str(made.path))} HOME"
    )
    if made.manifest.has_secrets:
        warn("who can read it can do what the service can: it holds keys and credentials")
    else:
        note("keys and credentials are not in it (--with-secrets takes them)")


@click.command()
@BACKUP
@HOME
@click.option("--all", "take_all", is_flag=True, help="Put settings, and secrets if it has them, in place too.")
def restore(*, backup: Path, home: Path, take_all: bool) -> None:
    """Put the catalog of BACKUP into HOME; what was there is kept beside it. Where there is no HOME one is made of all of it.

    A HOME that is served is refused: stop its service first. Everything is compared before anything is touched; a restore
    that is broken off is run again, and no service starts before it is done.

    \b
    What a catalog of an earlier moment means for what happened since then:
      files that were finished since are moved once more, under the ids that they had: the same bytes to the same place
      sub-tasks, streams and dataflows that were made since are not known any more: submit their files again
      what was canceled, stopped or deleted since then is as it was before, and goes on when the service starts
      ids that were given since are not given again
    """
    with phase_bar() as tell:
        done = restore_backup(
            backup,
            home,
            extent=Extent.ALL if take_all else Extent.CATALOG,
            tell=tell,
        )
    _tell(done)


def _tell(done: Restored) -> None:
    quoted = shlex.quote(str(done.home.path))
    click.echo(done.home.path)
    note(f"the catalog is that of {moment(done.manifest.made_ns)}")
    if done.kept is not None:
        note(f"what was there is kept in {done.kept}; remove it when you are content")
    if SETTINGS in done.files and not done.manifest.has_secrets and not done.home.secrets_file.exists():
        warn(
            f"the backup holds no keys and credentials: make a key with penstock key add {quoted}, and put those of buckets "
            f"into {done.home.secrets_file}"
        )
    note(f"look at it with: penstock doctor {quoted}; then start it: penstock serve {quoted}")
