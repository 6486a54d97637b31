"""`penstock init`: make a HOME."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path

import click

from penstock.app.making import Made, Tls, make_home
from penstock.cli.arguments import HOME
from penstock.cli.output import note, print_facts


@click.command()
@HOME
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--tls", is_flag=True, help="Make a local CA and a certificate too, and serve https.")
def init(*, home: Path, as_json: bool, tls: bool) -> None:
    """Make HOME: settings, one access key, one file system, one embedded bucket.

    HOME must not exist, or be an empty directory. It gets mode 0700. The secret of the access key is printed here and kept
    in HOME/secrets.toml. A second init changes nothing and exits with 2.
    """
    made = make_home(home, tls=Tls.LOCAL if tls else Tls.NONE, now_ns=time.time_ns(), entropy=os.urandom)
    if as_json:
        click.echo(json.dumps(made.as_json()))
    else:
        print_facts(_facts(made))
    note(f"{made.home.path} is made. Start it with: penstock serve {shlex.quote(str(home))}")
    note(f"Commands know which service is meant after: export PENSTOCK_HOME={shlex.quote(str(made.home.path))}")


def _facts(made: Made) -> dict[str, object]:
    return {
        "access key id": made.key.access_key_id,
        "access key secret": made.key.secret,
        "file system": made.file_system.file_system_id,
        "its root": made.file_system.root,
        "bucket": f"oss://{made.bucket}",
        "region": made.region,
        "settings": made.home.settings_file,
        "CA certificate": made.home.ca_file if made.home.tls.exists() else None,
    }
