"""Where the service is and as whom to call it, as the environment of a program names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.errors import SettingsError

NEEDED = ("PENSTOCK_ENDPOINT", "PENSTOCK_ACCESS_KEY_ID", "PENSTOCK_ACCESS_KEY_SECRET")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A service, a key of it, and a file system of it; "" where there is only one."""

    endpoint: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    file_system_id: str = ""
    ca_file: str = ""


def place_from_environment(environment: Mapping[str, str]) -> Place:
    """Raises SettingsError, which names what is missing."""
    missing = [name for name in NEEDED if not environment.get(name)]
    if missing:
        raise SettingsError(f"which service, and whose key? Set {', '.join(missing)}")
    endpoint, access_key_id, secret = (environment[name] for name in NEEDED)
    return Place(
        endpoint=endpoint,
        access_key_id=access_key_id,
        access_key_secret=secret,
        file_system_id=environment.get("PENSTOCK_FILE_SYSTEM", ""),
        ca_file=environment.get("PENSTOCK_CA_FILE", ""),
    )
