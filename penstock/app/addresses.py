"""Where the running service listens: the ready line, and service.json for the command line.

The file is there while the service accepts; after a crash it may be stale, so it counts only while the service's lock is held.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass

from penstock.app.lock import service_runs
from penstock.settings.files import replace_file
from penstock.settings.home import Home

METRICS_PATH = "/metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """URLs without a path; None for what is not served. `ca_file` verifies `api` where it is https (empty: not local)."""

    api: str
    console: str | None
    oss: str | None
    ca_file: str = ""
    pid: int = 0
    metrics: str | None = None
    version: str = ""

    def ready_line(self) -> str:
        """The first and only line that `penstock serve` prints."""
        told = {"api": self.api, "console": self.console, "oss": self.oss}
        return json.dumps(told | ({"metrics": self.metrics} if self.metrics else {}))


def publish_addresses(home: Home, addresses: Addresses) -> None:
    """Writes service.json. Raises SettingsError."""
    kept = {
        "api": addresses.api,
        "console": addresses.console,
        "oss": addresses.oss,
        "ca_file": addresses.ca_file,
        "pid": addresses.pid,
        "metrics": addresses.metrics,
        "version": addresses.version,
    }
    replace_file(home.service_file, json.dumps(kept, indent=2).encode() + b"\n")


def withdraw_addresses(home: Home) -> None:
    """Removes service.json."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(home.service_file)


def running_addresses(home: Home) -> Addresses | None:
    """Where the service of this HOME listens now; None when none runs or it is still starting."""
    if not service_runs(home):
        return None
    try:
        kept = json.loads(home.service_file.read_bytes())
        return Addresses(
            api=kept["api"],
            console=kept["console"],
            oss=kept["oss"],
            ca_file=kept["ca_file"],
            pid=kept["pid"],
            metrics=kept.get("metrics"),
            version=str(kept.get("version", "")),  # an earlier version does not tell its own
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
