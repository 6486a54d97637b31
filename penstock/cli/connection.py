"""How commands find the API: an address and a key from options, the environment, a profile, or HOME.

What is typed goes before what the environment says, and that before the profile that is the default. A secret comes from the
environment, a profile or HOME, never from the command line.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from click.core import ParameterSource

from penstock.app.addresses import running_addresses
from penstock.cli import completing
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError, ApiUnreachableError, SettingsError
from penstock.model import AccessKey, Registry
from penstock.settings.home import Home
from penstock.settings.profiles import Profile, Profiles, load_profiles
from penstock.settings.reading import load_registry, open_home

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service to speak to, and the file system that is meant. `key_words` say which key is used and where it came from.

    `options` are those of `client`, for whoever wants another one to the same place; `home` is its HOME, if it was named by that.
    """

    client: Client
    file_system_id: str
    options: ClientOptions
    key_words: str = ""
    home: Home | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What was said about which service is meant; None for what was not. `typed` names what stood on the command line."""

    home: Path | None = None
    profile: str | None = None
    endpoint: str | None = None
    ca_file: str | None = None
    access_key_id: str | None = None
    file_system: str | None = None
    typed: frozenset[str] = frozenset()


_NAMES = ("home", "profile", "endpoint", "ca_file", "access_key_id", "file_system")


def profiles_directory() -> Path:
    """Where this person's profiles are kept."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if os.path.isabs(config) else Path("~/.config").expanduser()) / "penstock"


def with_service(command: Callable[Concatenate[Service, P], R]) -> Callable[P, R]:
    """Gives a command the options that find the service, and the service as its first argument."""
    return with_service_at(lambda _: ())(command)


def with_service_at(
    places: Callable[[Mapping[str, Any]], Sequence[str]],
) -> Callable[[Callable[Concatenate[Service, P], R]], Callable[P, R]]:
    """The same for commands about files of this machine: `places`, of their arguments, decide among several file systems."""

    def decorated(command: Callable[Concatenate[Service, P], R]) -> Callable[P, R]:
        @with_means
        @wraps(command)
        def with_found(means: Means, /, *args: P.args, **kwargs: P.kwargs) -> R:
            service = find_service(means, places=places(kwargs))
            with service.client:
                return command(service, *args, **kwargs)

        return with_found

    return decorated


def with_means(command: Callable[Concatenate[Means, P], R]) -> Callable[P, R]:
    """Gives a command these options, and what they said as its first argument."""

    @click.option(
        "--home",
        envvar="PENSTOCK_HOME",
        type=click.Path(path_type=Path),
        help="HOME of the service. [env: PENSTOCK_HOME]",
    )
    @click.option(
        "--profile",
        envvar="PENSTOCK_PROFILE",
        shell_complete=completing.profiles,
        help="Name of a profile: see `penstock profile`. [env: PENSTOCK_PROFILE]",
    )
    @click.option("--endpoint", envvar="PENSTOCK_ENDPOINT", help="URL of the API. [env: PENSTOCK_ENDPOINT]")
    @click.option("--ca-file", envvar="PENSTOCK_CA_FILE", help="PEM file that verifies it. [env: PENSTOCK_CA_FILE]")
    @click.option(
        "--access-key-id",
        envvar="PENSTOCK_ACCESS_KEY_ID",
        help="Whose key; the secret is PENSTOCK_ACCESS_KEY_SECRET, or in the profile or HOME. [env: PENSTOCK_ACCESS_KEY_ID]",
    )
    @click.option(
        "--file-system",
        envvar="PENSTOCK_FILE_SYSTEM",
        shell_complete=completing.file_systems,
        help="Its id; not needed where there is one only. [env: PENSTOCK_FILE_SYSTEM]",
    )
    @wraps(command)
    def with_options(*args: P.args, **kwargs: P.kwargs) -> R:
        found: dict[str, Any] = {name: kwargs.pop(name) for name in _NAMES}
        return command(means_of(click.get_current_context(), found), *args, **kwargs)

    return with_options


def means_of(context: click.Context, said: Mapping[str, Any]) -> Means:
    """What a command's options say, and which of it was typed."""
    typed = [name for name in _NAMES if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return Means(**{name: said.get(name) for name in _NAMES}, typed=frozenset(typed))


def find_service(means: Means, *, timeout_s: float = 30.0, places: Sequence[str] = ()) -> Service:
    """The service that is meant, and its file system: the only one, or of those in HOME the one that holds the places.

    Raises SettingsError, ApiUnreachableError, and ApiRefusedError where it had to be asked."""
    if {"profile", "home"} <= means.typed:
        raise click.UsageError("--profile and --home name a service each; give one of them")
    means = _typed_alone(means) if "profile" in means.typed else means
    profile = _profile(means)
    made = open_home(means.home) if means.home is not None and profile is None else None
    registry = load_registry(made) if made is not None else None
    where, trusted = _address(means, profile, made)
    key_id, secret, origin = _key(means, profile, registry)
    options = ClientOptions(
        endpoint=where, access_key_id=key_id, access_key_secret=secret, ca_file=trusted, timeout_s=timeout_s
    )
    client = Client(options)
    return Service(
        client=client,
        file_system_id=means.file_system or _file_system(profile, registry, client, places),
        options=options,
        key_words=f"access key {key_id} with the secret of {origin}",
        home=made,
    )


def _typed_alone(means: Means) -> Means:
    """A profile that is typed is one whole: of the environment nothing is mixed into it."""
    typed = means.typed
    return replace(
        means,
        home=None,
        endpoint=means.endpoint if "endpoint" in typed else None,
        ca_file=means.ca_file if "ca_file" in typed else None,
        access_key_id=means.access_key_id if "access_key_id" in typed else None,
        file_system=means.file_system if "file_system" in typed else None,
    )


def _profile(means: Means) -> Profile | None:
    """The profile that is meant, if one is: what is typed decides between it and HOME, then the environment, then the default."""
    if means.profile and means.home is None:
        return load_profiles(profiles_directory()).named(means.profile)
    if means.profile and "home" not in means.typed:
        raise SettingsError(
            "the environment names two services, by PENSTOCK_PROFILE and by PENSTOCK_HOME; unset one of them, or give "
            "--profile or --home"
        )
    if means.home is not None or means.endpoint:
        return None
    known = load_profiles(profiles_directory())
    return known.profiles[known.default] if known.default else None


def _address(means: Means, profile: Profile | None, home: Home | None) -> tuple[str, str]:
    """URL, and what verifies it: a CA belongs to the endpoint that it was named with."""
    if means.endpoint:
        return means.endpoint, means.ca_file or ""
    if profile is not None:
        return profile.endpoint, means.ca_file or profile.ca_file
    if home is None:
        raise SettingsError(which_service(load_profiles(profiles_directory())))
    addresses = running_addresses(home)
    if addresses is None:
        raise ApiUnreachableError(
            f"the service of {home.path} is not running; start it with: penstock serve {shlex.quote(str(home.path))}"
        )
    return addresses.api, means.ca_file or addresses.ca_file


def which_service(known: Profiles) -> str:
    """What a person can do who has not said which service is meant."""
    names = ", ".join(list(known.profiles)[:10])
    choice = f"--profile NAME (here: {names}), or PENSTOCK_PROFILE, or for good: penstock profile use NAME"
    adding = "penstock profile add NAME --endpoint URL --access-key-id ID, once; then --profile NAME"
    return f"""which service? Say it in one of three ways:
  on its machine   --home HOME, or export PENSTOCK_HOME=HOME (what `penstock init HOME` made)
  by a profile     {choice if names else adding}
  outright         --endpoint URL, with PENSTOCK_ACCESS_KEY_ID and PENSTOCK_ACCESS_KEY_SECRET in the environment"""


def _key(means: Means, profile: Profile | None, registry: Registry | None) -> tuple[str, str, str]:
    """Id, secret, and where the secret came from."""
    key_id, secret = means.access_key_id, os.environ.get("PENSTOCK_ACCESS_KEY_SECRET", "")
    if key_id and secret:
        return key_id, secret, "PENSTOCK_ACCESS_KEY_SECRET"
    if profile is not None:
        if key_id in {None, "", profile.access_key_id}:
            return profile.access_key_id, profile.access_key_secret, f"profile {profile.name}"
        raise SettingsError(
            f"profile {profile.name} has another access key; set PENSTOCK_ACCESS_KEY_SECRET for {key_id}"
        )
    if registry is None:
        missing = "PENSTOCK_ACCESS_KEY_SECRET is" if key_id else "PENSTOCK_ACCESS_KEY_ID is"
        raise SettingsError(
            f"whose key? {missing} not set: set PENSTOCK_ACCESS_KEY_ID and PENSTOCK_ACCESS_KEY_SECRET, or keep both in a "
            "profile (penstock profile add --help), or give --home HOME"
        )
    if key_id:
        if key_id not in registry.access_keys:
            raise SettingsError(f"HOME has no access key {key_id}; see: penstock key list HOME")
        return key_id, registry.access_keys[key_id].secret, "HOME/secrets.toml"
    for key in registry.access_keys.values():
        if _may_all(key):
            return key.access_key_id, key.secret, "HOME/secrets.toml"
    raise SettingsError("HOME has no active key with all rights; choose one with --access-key-id")


def _may_all(key: AccessKey) -> bool:
    return key.active and "*" in key.file_systems and not {"*", "nas:*"}.isdisjoint(key.allow)


def _file_system(profile: Profile | None, registry: Registry | None, client: Client, places: Sequence[str]) -> str:
    if profile is not None and profile.file_system_id:
        return profile.file_system_id
    known = list(registry.file_systems) if registry is not None else file_systems_of(client)
    if len(known) == 1:
        return known[0]
    holding = _holding(registry, places) if registry is not None else ""
    if holding:
        return holding
    listed = f"; there are {', '.join(known[:10])}" if known else "; this key sees none"
    raise SettingsError(f"which file system? Give --file-system ID or set PENSTOCK_FILE_SYSTEM{listed}")


def _holding(registry: Registry, places: Sequence[str]) -> str:
    """The file system whose root holds all these places, the innermost; "" where none does."""
    reals = [os.path.realpath(place) for place in places]
    roots = {os.path.realpath(each.root): name for name, each in registry.file_systems.items()}
    holding = [root for root in roots if all(os.path.commonpath([root, real]) == root for real in reals)]
    return roots[max(holding, key=len)] if reals and holding else ""


def file_systems_of(client: Client) -> list[str]:
    """Ids of those that the key sees, as the service tells (a hundred at most). Raises ApiRefusedError, ApiUnreachableError."""
    answer = client.call("DescribeFileSystems", {"PageSize": 100})
    return [str(each.get("FileSystemId", "")) for each in answer.get("FileSystems", {}).get("FileSystem", [])]
