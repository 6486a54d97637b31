"""Looks at what HOME holds: rights of files, settings, keys, certificates, and what was broken off. Reads only."""

from __future__ import annotations

import os
import shlex
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.app import broken_off
from penstock.app.doctor.findings import Finding, ok, problem, warning
from penstock.app.registry import load_served
from penstock.app.restoring import refuse_unfinished
from penstock.app.standin.mark import is_stand_in
from penstock.errors import SettingsError
from penstock.model import AccessKey
from penstock.settings.choices import Settings
from penstock.settings.home import Home, probe_command
from penstock.settings.reading import beneath, load_registry, load_settings
from penstock.stores.abilities import untried

CERTIFICATE_DAYS_LEAST = 21
DAY_S = 86_400
_OURS_ONLY = ("penstock.toml", "secrets.toml", "service.json", "console.key", "tls/server.key")


def look_at_rights(home: Home) -> Iterator[Finding]:
    """Whose HOME is, and who may read what is in it."""
    about, quoted = "HOME", shlex.quote(str(home.path))
    found = home.path.stat()
    if found.st_uid != os.geteuid():
        yield warning(
            about,
            f"it belongs to user {found.st_uid}, this command runs as {os.geteuid()}: the service is to run as its owner",
        )
    open_to_others = stat.S_IMODE(found.st_mode) & 0o077
    if open_to_others:
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        yield warning(about, f"others may look into it (mode {mode})", f"chmod 700 {quoted}")
    exposed = [name for name in _OURS_ONLY if _is_exposed(home.path / name)]
    for name in exposed:
        yield problem(about, f"{name} can be read by others", f"chmod 600 {shlex.quote(str(home.path / name))}")
    if is_stand_in(home):
        yield warning(
            about, "it is a stand-in's, for tests of programs: nothing in it is durable, and a reset removes it all"
        )
    if broken_off.is_here(home):
        yield warning(about, "a `penstock init` was broken off here", f"penstock serve {quoted}")
    try:
        refuse_unfinished(home)
    except SettingsError as error:
        yield problem(about, str(error))
    left = sorted(each.name for each in home.path.glob(".*.toml.*.new"))
    for name in left:
        yield warning(
            about, f"{name} was left by a command that was killed", f"rm {shlex.quote(str(home.path / name))}"
        )
    if not (open_to_others or exposed or left):
        yield ok(about, "is its owner's alone")


def _is_exposed(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False


def look_at_settings(home: Home) -> Iterator[Finding]:
    """Whether the two files can be used as they are."""
    about = "settings"
    try:
        settings = load_settings(home)
        registry = load_registry(home)
    except SettingsError as error:
        is_mended = "mend it with" in str(error)
        file = home.secrets_file if str(home.secrets_file) in str(error) else home.settings_file
        yield problem(about, str(error), "" if is_mended else f"edit {shlex.quote(str(file))}")
        return
    yield ok(
        about,
        f"penstock.toml and secrets.toml are right: {_count(len(registry.file_systems), 'file system')}, "
        f"{_count(len(registry.buckets), 'bucket')}, {_count(len(registry.access_keys), 'access key')}",
    )
    try:
        load_served(home)
    except SettingsError as error:
        yield problem(about, str(error))
    yield from _keys(home, list(registry.access_keys.values()))
    for bucket in registry.buckets.values():
        if names := untried(bucket.abilities):
            yield warning(
                f"bucket {bucket.name}",
                f"an earlier version has registered it without trying out {', '.join(names)}",
                probe_command(home, bucket.name),
            )
    yield from _ears(settings)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _keys(home: Home, keys: list[AccessKey]) -> Iterator[Finding]:
    if not any(key.active for key in keys):
        yield problem(
            "settings", "no access key is active: nobody may call", f"penstock key add {shlex.quote(str(home.path))}"
        )


def _ears(settings: Settings) -> Iterator[Finding]:
    if settings.listen not in {"127.0.0.1", "::1", "localhost"} and not settings.tls_certificate:
        yield warning(
            "settings",
            f"it listens on {settings.listen} without TLS: who listens in reads what is asked and answered",
            'set tls_certificate and tls_key in penstock.toml, or listen = "127.0.0.1"',
        )


def look_at_certificate(home: Home) -> Iterator[Finding]:
    """Certificate and key, where the settings name them."""
    about = "certificate"
    try:
        settings = load_settings(home)
    except SettingsError:
        return  # said by whoever looks at the settings
    certificate, key = beneath(home, settings.tls_certificate), beneath(home, settings.tls_key)
    if certificate is None or key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        yield problem(
            about,
            f"{certificate} and {key} cannot be used together: {error.strerror or error}",
            f"see whether both are there, and belong together: openssl x509 -noout -pubkey -in "
            f"{shlex.quote(str(certificate))}; openssl pkey -pubout -in {shlex.quote(str(key))}",
        )
        return
    from cryptography import x509  # noqa: PLC0415  (much to load, and most have no certificate)

    ends_s = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
    days = (ends_s - time.time()) / DAY_S
    if days < 0:
        yield problem(
            about, f"it has ended {-days:.0f} days ago", "put a new one in its place, and restart the service"
        )
    elif days < CERTIFICATE_DAYS_LEAST:
        yield warning(about, f"it ends in {days:.0f} days", "put a new one in its place, and restart the service")
    else:
        yield ok(about, f"it is good for {days:.0f} days")
