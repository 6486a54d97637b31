"""How commands find the API: an address and a key from options, the environment, or HOME.

What is said outright (`--endpoint`, `--access-key-id`, PENSTOCK_…) goes before what HOME says. A secret comes from the
environment or from HOME, never from the command line.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from penstock.app.addresses import running_addresses
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError, ApiUnreachableError, SettingsError
from penstock.model import AccessKey, Registry
from penstock.settings.home import Home
from penstock.settings.reading import load_registry, open_home

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service to speak to, and the file system that is meant. `key_words` say which key is used and where it came from."""

    client: Client
    file_system_id: str
    key_words: str = ""

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call about the file system that is meant."""
        try:
            return self.client.call(action, {"FileSystemId": self.file_system_id, **parameters})
        except ApiRefusedError as error:
            if error.code != "SignatureDoesNotMatch":
                raise
            raise ApiRefusedError(  # the string to sign, which the API names, helps who writes clients
                "the service knows this access key with another secret",
                code=error.code,
                status=error.status,
                request_id=error.request_id,
                hint=f"used was {self.key_words}",
            ) from error


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
    key_id, secret, origin = _key(registry, access_key_id)
    client = Client(ClientOptions(endpoint=where, access_key_id=key_id, access_key_secret=secret, ca_file=trusted))
    return Service(
        client=client,
        file_system_id=_file_system(registry, file_system),
        key_words=f"access key {key_id} with the secret of {origin}",
    )


def _address(home: Home | None, endpoint: str | None, ca_file: str | None) -> tuple[str, str]:
    if endpoint:
        return endpoint, ca_file or ""
    if home is None:
        raise SettingsError("which service? Give --home HOME or set PENSTOCK_HOME; elsewhere --endpoint URL and a key")
    addresses = running_addresses(home)
    if addresses is None:
        raise ApiUnreachableError(
            f"the service of {home.path} is not running; start it with: penstock serve {shlex.quote(str(home.path))}"
        )
    return addresses.api, ca_file or addresses.ca_file


def _key(registry: Registry | None, access_key_id: str | None) -> tuple[str, str, str]:
    """Id, secret, and where the secret came from."""
    secret = os.environ.get("PENSTOCK_ACCESS_KEY_SECRET", "")
    if access_key_id and secret:
        return access_key_id, secret, "PENSTOCK_ACCESS_KEY_SECRET"
    if registry is None:
        raise SettingsError("whose key? Set PENSTOCK_ACCESS_KEY_ID and PENSTOCK_ACCESS_KEY_SECRET, or give --home HOME")
    if access_key_id:
        if access_key_id not in registry.access_keys:
            raise SettingsError(f"HOME has no access key {access_key_id}; see: penstock key list HOME")
        return access_key_id, registry.access_keys[access_key_id].secret, "HOME/secrets.toml"
    for key in registry.access_keys.values():
        if _may_all(key):
            return key.access_key_id, key.secret, "HOME/secrets.toml"
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
