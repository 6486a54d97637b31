"""The verbs of `... add`, `confirm`, `probe` and `revoke`: each changes the files of one HOME in one step, or refuses and
changes nothing.

Secrets are written before what refers to them, so that a running service never sees a bucket whose credentials are missing.
"""

from __future__ import annotations

from tomlkit import TOMLDocument

from penstock.errors import SettingsError
from penstock.model import AccessKey, Bucket, Credentials, FileSystem
from penstock.settings.entries import access_key_values, bucket_values, file_system_values
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from penstock.settings.roots import judge_roots
from penstock.settings.writing import change_secrets, change_settings, drop_entry, edit_lock, put_entry


def add_file_system(home: Home, file_system: FileSystem) -> None:
    """Registers a file system. Raises SettingsError when its id is taken or its root must not be served."""
    with edit_lock(home):
        judge_roots(home, {**load_registry(home).file_systems, file_system.file_system_id: file_system})
        change_settings(
            home,
            lambda document: put_entry(
                document, "file_system", file_system.file_system_id, file_system_values(file_system)
            ),
        )


def drop_file_system(home: Home, file_system_id: str) -> None:
    """Takes a file system out of the registry; its directory is others' business. Nothing where there is none."""
    with edit_lock(home):
        if file_system_id in load_registry(home).file_systems:
            change_settings(home, lambda document: drop_entry(document, "file_system", file_system_id))


def describe_file_system(home: Home, file_system_id: str, description: str) -> None:
    """Gives a file system another description. Raises SettingsError when there is none."""
    with edit_lock(home):
        if file_system_id not in load_registry(home).file_systems:
            raise SettingsError(f"file system {file_system_id} is not registered")

        def describe(document: TOMLDocument) -> None:
            document["file_system"][file_system_id]["description"] = description

        change_settings(home, describe)


def record_root(home: Home, known: FileSystem, seen: FileSystem) -> None:
    """Writes down by what a registered root is recognised: mark and mount of `seen`; nothing where it is not `known` any more.

    Raises SettingsError, also when the mark is that of another file system.
    """
    with edit_lock(home):
        registered = load_registry(home).file_systems
        if registered.get(known.file_system_id) != known or seen == known:
            return
        judge_roots(home, {**registered, known.file_system_id: seen})

        def record(document: TOMLDocument) -> None:
            entry = document["file_system"][known.file_system_id]
            told = file_system_values(seen)
            for key in ("mount_type", "mount_source", "mount_point", "mark"):
                if key in told:
                    entry[key] = told[key]
                elif key in entry:
                    del entry[key]

        change_settings(home, record)


def add_bucket(home: Home, bucket: Bucket, credentials: Credentials | None) -> None:
    """Registers a bucket with the credentials that are kept for it, if any. Raises SettingsError when its name is taken."""
    with edit_lock(home):
        if bucket.name in load_registry(home).buckets:
            raise SettingsError(f"bucket {bucket.name} is registered already")

        def keep(document: TOMLDocument) -> None:
            if bucket.name in document.get("bucket", {}):  # left by an addition that was cut short
                drop_entry(document, "bucket", bucket.name)
            if credentials is not None:
                put_entry(document, "bucket", bucket.name, _credential_values(credentials))

        change_secrets(home, keep)
        change_settings(home, lambda document: put_entry(document, "bucket", bucket.name, bucket_values(bucket)))


def record_abilities(home: Home, known: Bucket, seen: Bucket) -> None:
    """Writes down what was found of a registered bucket by trying. Raises SettingsError where it is not `known` any more."""
    with edit_lock(home):
        if load_registry(home).buckets.get(known.name) != known:
            raise SettingsError(
                f"bucket {known.name} was registered otherwise while it was tried out; nothing is recorded: try again"
            )

        def record(document: TOMLDocument) -> None:
            entry = document["bucket"][known.name]
            told = bucket_values(seen)["abilities"]
            if "abilities" in entry:
                entry["abilities"].update(told)  # with the comments in it
            else:
                entry["abilities"] = told

        change_settings(home, record)


def add_access_key(home: Home, key: AccessKey) -> None:
    """Adds an access key. Raises SettingsError when its id is taken."""
    with edit_lock(home):
        change_secrets(
            home, lambda document: put_entry(document, "access_key", key.access_key_id, access_key_values(key))
        )


def revoke_access_key(home: Home, access_key_id: str) -> None:
    """Makes a key inactive; it stays listed. Raises SettingsError when there is none."""
    with edit_lock(home):

        def revoke(document: TOMLDocument) -> None:
            if access_key_id not in document.get("access_key", {}):
                raise SettingsError(f"access key {access_key_id} is not registered")
            document["access_key"][access_key_id]["active"] = False

        change_secrets(home, revoke)


def _credential_values(credentials: Credentials) -> dict[str, str]:
    values = {"access_key_id": credentials.access_key_id, "access_key_secret": credentials.access_key_secret}
    if credentials.security_token:
        values["security_token"] = credentials.security_token
    return values
