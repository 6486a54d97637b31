"""Which looks doctor takes: on the machine of a HOME, and from outside."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial

from penstock.app.doctor import configuration, machine, outside, roots, standing, stores
from penstock.app.doctor.examining import Look
from penstock.client import ClientOptions
from penstock.errors import SettingsError
from penstock.model import Bucket, BucketKind, Registry
from penstock.settings.choices import Settings
from penstock.settings.home import Home
from penstock.settings.reading import load_registry, load_settings

QUICK_S = 15.0
BUCKET_S = 60.0
_HOME_HANGS = "its disk does not answer: see the kernel's log (dmesg), and what is mounted there"


def looks_at_home(home: Home) -> Sequence[Look]:
    """Everything that can be seen where the service is. What broken settings would hide is looked at as far as that goes."""
    settings, registry = _as_written(home)
    about_home = partial(Look, limit_s=QUICK_S, hangs=_HOME_HANGS)
    looks = [
        about_home(about="HOME", look=partial(configuration.look_at_rights, home)),
        Look(about="settings", look=partial(configuration.look_at_settings, home), limit_s=QUICK_S),
        about_home(about="certificate", look=partial(configuration.look_at_certificate, home)),
        about_home(about="disk of HOME", look=partial(machine.look_at_disk, home)),
        Look(about="limits", look=partial(machine.look_at_limits, settings), limit_s=QUICK_S),
        Look(about="service", look=partial(standing.look_at_service, home), limit_s=QUICK_S),
        Look(
            about="catalog",
            look=partial(standing.look_at_catalog_file, home),
            limit_s=QUICK_S + standing.CATALOG_LIMIT_S,
            hangs=_HOME_HANGS,
        ),
    ]
    looks += [
        Look(
            about=f"file system {each.file_system_id}",
            look=partial(roots.look_at_root, home, each),
            limit_s=roots.LIMIT_S + 5,
        )
        for each in registry.file_systems.values()
    ]
    return [*looks, *_buckets(home, list(registry.buckets.values()))]


def _as_written(home: Home) -> tuple[Settings, Registry]:
    """Defaults where the files cannot be used; whoever looks at the settings says so."""
    try:
        return load_settings(home), load_registry(home)
    except SettingsError:
        return Settings(), Registry(file_systems={}, buckets={}, access_keys={})


def _buckets(home: Home, buckets: Sequence[Bucket]) -> Sequence[Look]:
    """Those of the embedded server in one look, one after the other: without a service each would start a server of its own."""
    embedded = [each for each in buckets if each.kind is BucketKind.EMBEDDED]
    others = [each for each in buckets if each.kind is not BucketKind.EMBEDDED]
    hangs = f"it accepts and then says nothing: penstock bucket probe {shlex.quote(str(home.path))} NAME, once it does again"
    looks = [
        Look(
            about=f"bucket {each.name}", look=partial(stores.look_at_bucket, home, each), limit_s=BUCKET_S, hangs=hangs
        )
        for each in others
    ]
    if embedded:
        names = ", ".join(each.name for each in embedded)
        looks.append(
            Look(
                about=f"bucket {names}",
                look=lambda: (finding for each in embedded for finding in stores.look_at_bucket(home, each)),
                limit_s=BUCKET_S,
                hangs=hangs,
            )
        )
    return looks


def looks_from_outside(options: ClientOptions) -> Sequence[Look]:
    """What can be seen with an endpoint and a key."""
    return [
        Look(about="endpoint", look=partial(outside.look_at_endpoint, options), limit_s=QUICK_S),
        Look(about="access key", look=partial(outside.look_at_key, options), limit_s=QUICK_S + 30),
        Look(about="service", look=partial(outside.look_at_work, options), limit_s=QUICK_S + 30),
    ]
