"""`penstock emulator`: the bucket server alone, in this process, until SIGTERM. It knows no HOME."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from penstock import telemetry
from penstock.app.embedded import listen, url_of
from penstock.app.server_log import take_over_server_log
from penstock.emulator.application import create_app, read_cname, serve
from penstock.errors import SettingsError
from penstock.model import Credentials
from penstock.settings.files import replace_file
from penstock.settings.naming import new_embedded_credentials

KEY_FILE = "access-key.json"


def serve_emulator(
    directory: Path,
    *,
    port: int,
    region: str,
    domain: str | None,
    cnames: Sequence[str],
    given: Credentials | None,
    entropy: Callable[[int], bytes],
) -> None:
    """Serves buckets over `directory` on loopback; `cnames` are `HOST=BUCKET`.

    Raises SettingsError, HomeInUseError; then no key was made.
    """
    named = dict(map(read_cname, cnames))
    take_over_server_log()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{directory} cannot be made: {error.strerror}") from error
    file = directory / KEY_FILE
    keys = given or _kept_key(file) or new_embedded_credentials(entropy)

    def ready() -> None:  # only now the directory is ours
        if given is None:
            _keep_key(file, keys)
        print(json.dumps({"oss": url}), flush=True)

    with listen("127.0.0.1", port, setting="", option="--port") as sock:
        url = url_of(sock)
        app = create_app(
            root=directory,
            credentials=lambda key_id: keys.access_key_secret if key_id == keys.access_key_id else None,
            token_of=lambda _: keys.security_token or None,
            region=region,
            domain=domain,
            cnames=named,
        )
        serve(app, sock=sock, on_ready=ready)


def _kept_key(file: Path) -> Credentials | None:
    """The key pair that was made for this directory before."""
    try:
        kept = json.loads(file.read_bytes())
        return Credentials(access_key_id=kept["access_key_id"], access_key_secret=kept["access_key_secret"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{file} cannot be used; remove it, and a new key is made") from error


def _keep_key(file: Path, keys: Credentials) -> None:
    if not file.exists():
        body = {"access_key_id": keys.access_key_id, "access_key_secret": keys.access_key_secret}
        replace_file(file, json.dumps(body, indent=2).encode() + b"\n")
    telemetry.event("emulator.key", access_key_id=keys.access_key_id, kept_in=os.path.abspath(file))
