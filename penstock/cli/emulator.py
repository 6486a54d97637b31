"""`penstock emulator DIR`: the bucket server alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from penstock import telemetry
from penstock.app.standalone import serve_emulator
from penstock.cli.output import need_stdout
from penstock.errors import SettingsError
from penstock.model import Credentials


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Its port; 0 = any free one. [default: 0]")
@click.option("--region", default="cn-hangzhou", show_default=True, help="The region that it says it is in.")
@click.option("--domain", default=None, help="Find buckets in host names beneath this domain, too: BUCKET.DOMAIN.")
@click.option(
    "--cname", "cnames", multiple=True, metavar="HOST=BUCKET", help="HOST is that bucket's own name. May be repeated."
)
def emulator(*, directory: Path, port: int, region: str, domain: str | None, cnames: tuple[str, ...]) -> None:
    """Run a bucket server that speaks the OSS protocol over DIR, for trying things out and for tests. No production store.

    The key pair is OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET of the environment, and with OSS_SESSION_TOKEN a temporary
    one; where they are not set, one is made and kept in DIR/access-key.json. One JSON line on stdout tells when it accepts:
    {"oss": URL}.
    """
    need_stdout()
    telemetry.configure(sys.stderr, form=telemetry.form_of(os.environ))
    key_id, secret = (os.environ.get(name, "") for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"))
    if bool(key_id) != bool(secret):
        raise SettingsError("set both OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, or neither")
    token = os.environ.get("OSS_SESSION_TOKEN", "")
    if token and not key_id:
        raise SettingsError(
            "OSS_SESSION_TOKEN belongs to a key pair: set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, too"
        )
    given = Credentials(access_key_id=key_id, access_key_secret=secret, security_token=token) if key_id else None
    serve_emulator(directory, port=port, region=region, domain=domain, cnames=cnames, given=given, entropy=os.urandom)
