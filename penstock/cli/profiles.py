"""`penstock profile add | list | show | use | remove`: services by name, for whoever types commands from somewhere else.

Works on this person's profiles.toml; `add` asks the service whether what is kept is right.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import click

from penstock.cli import completing
from penstock.cli.connection import file_systems_of, profiles_directory
from penstock.cli.output import note, print_facts, print_json, print_table
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError, ApiUnreachableError, PenstockError, SettingsError
from penstock.settings.profile_editing import choose_default, drop_profile, keep_profile
from penstock.settings.profiles import Profile, load_profiles

NAME = click.argument("name", shell_complete=completing.profiles)


@click.group()
def profile() -> None:
    """Profiles: services elsewhere, kept by name with the key for them.

    They are in ~/.config/penstock/profiles.toml, for their owner only. Commands take --profile NAME.
    """


@profile.command()
@NAME
@click.option("--endpoint", required=True, help="URL of the API: http[s]://host[:port].")
@click.option(
    "--access-key-id", required=True, help="Whose key; the secret is PENSTOCK_ACCESS_KEY_SECRET, or asked for."
)
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="PEM file that verifies the endpoint.")
@click.option("--file-system", default="", help="Id of the file system that is meant. [default: the only one]")
@click.option("--use", "chosen", is_flag=True, help="Have it meant where no command says otherwise.")
@click.option("--no-check", is_flag=True, help="Keep it without asking the service whether it is right.")
def add(
    *,
    name: str,
    endpoint: str,
    access_key_id: str,
    ca_file: str | None,
    file_system: str,
    chosen: bool,
    no_check: bool,
) -> None:
    """Keep the service at an endpoint as NAME; one of that name is replaced.

    The secret is read from PENSTOCK_ACCESS_KEY_SECRET or, at a terminal, asked for. The first profile is the default.
    """
    directory = profiles_directory()
    first = not load_profiles(directory).profiles
    made = Profile(
        name=name,
        endpoint=endpoint,
        access_key_id=access_key_id,
        access_key_secret=_secret(access_key_id),
        ca_file=os.path.abspath(ca_file) if ca_file else "",
        file_system_id=file_system,
    )
    made = made if no_check else _checked(made)
    keep_profile(directory, made)
    note(f"profile {name} is kept" + (f"; its file system is {made.file_system_id}" if made.file_system_id else ""))
    if chosen or first:
        choose_default(directory, name)
        note("it is the default now: commands mean it where nothing else is said")


def _secret(access_key_id: str) -> str:
    secret = os.environ.get("PENSTOCK_ACCESS_KEY_SECRET", "")
    if secret:
        return secret
    if not sys.stdin.isatty():
        raise SettingsError(
            "set PENSTOCK_ACCESS_KEY_SECRET: there is no terminal to ask for the secret of the access key"
        )
    return str(click.prompt(f"Secret of {access_key_id}", hide_input=True, err=True))


def _checked(made: Profile) -> Profile:
    """As the service knows it, with the only file system there is. Raises what it answers, with what to do."""
    options = ClientOptions(
        endpoint=made.endpoint,
        access_key_id=made.access_key_id,
        access_key_secret=made.access_key_secret,
        ca_file=made.ca_file,
    )
    try:
        with Client(options) as client:
            found = file_systems_of(client)
    except ApiRefusedError as error:
        if error.code == "Forbidden.RAM":  # right secret, but without that right
            return made
        raise _not_kept(made, f"{error.code}: the service refuses this key pair") from error
    except ApiUnreachableError as error:
        raise _not_kept(made, str(error)) from error
    if made.file_system_id and made.file_system_id not in found:
        raise _not_kept(
            made, f"this key sees no file system {made.file_system_id}; it sees {', '.join(found) or 'none'}"
        )
    return made if made.file_system_id or len(found) != 1 else replace(made, file_system_id=found[0])


def _not_kept(made: Profile, why: str) -> PenstockError:
    return SettingsError(f"{why}\nprofile {made.name} is not kept; mend that, or keep it all the same with --no-check")


@profile.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the profiles, without their secrets."""
    known = load_profiles(profiles_directory())
    if as_json:
        print_json([_as_json(each, known.default) for each in known.profiles.values()])
        return
    if not known.profiles:
        note("there are none; make one with: penstock profile add NAME --endpoint URL --access-key-id ID")
        return
    print_table(
        ["PROFILE", "DEFAULT", "ENDPOINT", "ACCESS KEY", "FILE SYSTEM"],
        [
            [
                each.name,
                "yes" if each.name == known.default else "",
                each.endpoint,
                each.access_key_id,
                each.file_system_id or "the only one",
            ]
            for each in known.profiles.values()
        ],
    )


@profile.command()
@NAME
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, name: str, as_json: bool) -> None:
    """Show the profile NAME, without its secret."""
    known = load_profiles(profiles_directory())
    found = _as_json(known.named(name), known.default)
    if as_json:
        print_json(found)
        return
    print_facts({key.replace("_", " "): value for key, value in found.items() if key != "default"})
    note(f"kept in {known.path}" + ("; it is the default" if found["default"] else ""))


def _as_json(each: Profile, default: str) -> dict[str, object]:
    return {
        "name": each.name,
        "default": each.name == default,
        "endpoint": each.endpoint,
        "access_key_id": each.access_key_id,
        "ca_file": each.ca_file or None,
        "file_system": each.file_system_id or None,
    }


@profile.command()
@NAME
def use(*, name: str) -> None:
    """Have the profile NAME meant where nothing else is said."""
    choose_default(profiles_directory(), name)
    note(f"{name} is the default now")


@profile.command()
@NAME
def remove(*, name: str) -> None:
    """Forget the profile NAME, and the secret that is kept with it."""
    drop_profile(profiles_directory(), name)
    note(f"profile {name} is removed")
