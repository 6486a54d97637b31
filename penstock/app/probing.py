"""`penstock bucket probe`: try out a registered bucket once more, tell what differs from what is recorded, and record it.

Calls the store by `reaching`, and `settings.editing`. Changes nothing of a bucket's registration but its abilities.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from penstock.app.reaching import reach, registered_bucket
from penstock.app.registering import missed, warnings_of
from penstock.model import Bucket
from penstock.settings.editing import record_abilities
from penstock.settings.home import Home
from penstock.stores.abilities import abilities_to_mapping
from penstock.stores.keychain import Keychain


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One ability; `recorded` is None where it was never tried out."""

    ability: str
    recorded: str | bool | int | None
    found: str | bool | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """The bucket as it is recorded now, what was recorded otherwise before, and what a person should know about it."""

    bucket: Bucket
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]


def probe_bucket(home: Home, name: str) -> Probed:
    """Tries the bucket out and records what was found. Raises SettingsError, StoreError; then what was recorded stays."""
    known = registered_bucket(home, name)
    keys = Keychain(home.secrets_file, os.environ).of(known)
    with reach(home, replace(known, abilities={}), keys) as store:  # whatever is recorded, and be it unusable
        found = abilities_to_mapping(store.probe())
        seen = replace(known, abilities=found)
        warnings = warnings_of(missed(seen, store))
    differences = tuple(
        Difference(ability=ability, recorded=known.abilities.get(ability), found=value)
        for ability, value in found.items()
        if ability not in known.abilities or known.abilities[ability] != value
    )
    if differences:
        record_abilities(home, known, seen)
    return Probed(bucket=seen, differences=differences, warnings=warnings)
