"""How commands find the API: an address and a key from options, the environment, or HOME.

What is said outright (`--endpoint`, `--access-key-id`, PENSTOCK_…) goes before what HOME says. A secret comes from the
environment or from HOME, never from the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from penstock.app.addresses import running_addresses
from penstock.client import Client, ClientOptions
from penstock.errors import ApiUnreachableError, SettingsError
from penstock.model import AccessKey, Registry
from penstock.settings.home import Home
from penstock.settings.reading import load_registry, open_home

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service to speak to, and the file system that is meant."""

    client: Client
    file_system_id: str

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call about the file system that is meant."""
        return self.client.call(action, {"FileSystemId": self.file_system_id, **parameters})


def with_service(command: Callable[Concatenate[Service, P], R]) -> Callable[P, R]:
    """Gives a command the options that find the service, and the service as its first argument."""

    @click.option(
        "--home",
        envvar="PENSTOCK_HOME",
        type=click.Path(path_type=Path),
        help="HOME of the service. [env: PENSTOCK_HOME]",
    )
    @click.option("--endpoint", envvar="PENSTOCK_ENDPOINT", help="URL of the API. [env: PENSTOCK_ENDPOINT]")
    @click.option("--ca-file", envvar="PENSTOCK_CA_FILE", help="PEM file that verifies it. [env: PENSTOCK_CA_FILE]")
    @click.option(
        "--access-key-id",
        envvar="PENSTOCK_ACCESS_KEY_ID",
        help="Whose key; the secret is PENSTOCK_ACCESS_KEY_SECRET or in HOME. [env: PENSTOCK_ACCESS_KEY_ID]",
    )
    @click.option(
        "--file-system",
        envvar="PENSTOCK_FILE_SYSTEM",
        help="Its id; not needed where HOME has one. [env: PENSTOCK_FILE_SYSTEM]",
    )
    @wraps(command)
    def with_options(*args: P.args, **kwargs: P.kwargs) -> R:
        found = {name: kwargs.pop(name) for name in ("home", "endpoint", "ca_file", "access_key_id", "file_system")}
        service = find_service(**found)  # type: ignore[arg-type]
        with service.client:
            return command(service, *args, **kwargs)

    return with_options


def find_service(
    *, home: Path | None, endpoint: str | None, ca_file: str | None, access_key_id: str | None, file_system: str | None
) -> Service:
    """The service that the options mean. Raises SettingsError, ApiUnreachableError."""
    made = open_home(home) if home is not None else None
    registry = load_registry(made) if made is not None else None
    where, trusted = _address(made, endpoint, ca_file)
    key_id, secret = _key(registry, access_key_id)
    client = Client(ClientOptions(endpoint=where, access_key_id=key_id, access_key_secret=secret, ca_file=trusted))
    return Service(client=client, file_system_id=_file_system(registry, file_system))


def _address(home: Home | None, endpoint: str | None, ca_file: str | None) -> tuple[str, str]:
    if endpoint:
        return endpoint, ca_file or ""
    if home is None:
        raise SettingsError("which service? Give --home HOME or set PENSTOCK_HOME; elsewhere --endpoint URL and a key")
    addresses = running_addresses(home)
    if addresses is None:
        raise ApiUnreachableError(
            f"the service of {home.path} is not running; start it with: penstock serve {home.path}"
        )
    return addresses.api, ca_file or addresses.ca_file


def _key(registry: Registry | None, access_key_id: str | None) -> tuple[str, str]:
    secret = os.environ.get("PENSTOCK_ACCESS_KEY_SECRET", "")
    if access_key_id and secret:
        return access_key_id, secret
    if registry is None:
        raise SettingsError("whose key? Set PENSTOCK_ACCESS_KEY_ID and PENSTOCK_ACCESS_KEY_SECRET, or give --home HOME")
    if access_key_id:
        if access_key_id not in registry.access_keys:
            raise SettingsError(f"HOME has no access key {access_key_id}; see: penstock key list HOME")
        return access_key_id, registry.access_keys[access_key_id].secret
    for key in registry.access_keys.values():
        if _may_all(key):
            return key.access_key_id, key.secret
    raise SettingsError("HOME has no active key with all rights; choose one with --access-key-id")


def _may_all(key: AccessKey) -> bool:
    return key.active and "*" in key.file_systems and not {"*", "nas:*"}.isdisjoint(key.allow)


def _file_system(registry: Registry | None, file_system: str | None) -> str:
    if file_system:
        return file_system
    known = list(registry.file_systems) if registry is not None else []
    if len(known) == 1:
        return known[0]
    listed = f"; HOME has {', '.join(known)}" if known else ""
    raise SettingsError(f"which file system? Give --file-system ID or set PENSTOCK_FILE_SYSTEM{listed}")
