"""Where everything lies in HOME, and what a person types about it.

Pure names: nothing here is read, written or created.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The one directory (0700) that holds all of a service. `path` is absolute."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """Settings, file systems and buckets; no secrets. Its presence says that HOME was made."""
        return self.path / "penstock.toml"

    @property
    def secrets_file(self) -> Path:
        """Access keys of the API and credentials of buckets (0600)."""
        return self.path / "secrets.toml"

    @property
    def edit_lock(self) -> Path:
        """Held exclusively by whoever changes one of the two files."""
        return self.path / "settings.lock"

    @property
    def service_lock(self) -> Path:
        """Held exclusively by the running service."""
        return self.path / "service.lock"

    @property
    def movers_lock(self) -> Path:
        """Held shared by every mover; a new service takes it exclusively before it re-queues anything."""
        return self.path / "movers.lock"

    @property
    def emulator_lock(self) -> Path:
        """Held by the process that serves the embedded buckets: the service's child, or a hand command's."""
        return self.path / "emulator.lock"

    @property
    def service_file(self) -> Path:
        """Addresses and process id of the running service (0600), for the command line."""
        return self.path / "service.json"

    @property
    def console_key_file(self) -> Path:
        """What the console signs its visitors' sessions with (0600)."""
        return self.path / "console.key"

    @property
    def catalog_file(self) -> Path:
        """The catalog's database."""
        return self.path / "catalog.db"

    @property
    def emulator(self) -> Path:
        """Data of the embedded bucket server."""
        return self.path / "emulator"

    @property
    def tls(self) -> Path:
        """The local certificate authority and the service's certificate."""
        return self.path / "tls"

    @property
    def ca_file(self) -> Path:
        """What a client verifies the service's certificate with."""
        return self.tls / "ca.pem"

    @property
    def file_system_root(self) -> Path:
        """Root of the file system that `init` registers."""
        return self.path / "filesystem"


def probe_command(home: Home, bucket: str) -> str:
    """What a person types to have a registered bucket tried out once more."""
    return f"penstock bucket probe {shlex.quote(str(home.path))} {bucket}"
