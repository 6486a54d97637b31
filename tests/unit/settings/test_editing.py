"""Do additions keep what a person wrote, and does a refused one change nothing?"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import PermissionDeniedError, SettingsError
from penstock.model import AccessKey, AddressingStyle, Bucket, BucketKind, Credentials, FileSystem
from penstock.settings.editing import (
    add_access_key,
    add_bucket,
    add_file_system,
    record_abilities,
    revoke_access_key,
)
from penstock.settings.home import Home
from penstock.settings.naming import new_access_key, new_file_system_id
from penstock.settings.reading import load_registry, load_settings
from penstock.stores.credentials import load_credentials

MINE = Bucket(
    name="mine",
    kind=BucketKind.S3,
    endpoint="http://127.0.0.1:7480",
    region="us-east-1",
    addressing_style=AddressingStyle.PATH,
    versioning_check=False,
    abilities={"crc64": False, "versioning": "Never"},
)
PAIR = Credentials(access_key_id="AK", access_key_secret='quo"ted\\ \n secret', security_token="token")


def a_file_system(number: int) -> FileSystem:
    return FileSystem(file_system_id=f"bmcpfs-{number}", root=f"/mnt/{number}", created_ns=1_800_000_000 * 10**9)


def test_what_is_added_is_read_back_the_same(home: Home) -> None:
    key = AccessKey(access_key_id="AKID", secret="s" * 40, allow=("nas:Describe*",), created_ns=1_800_000_000 * 10**9)
    add_file_system(home, a_file_system(1))
    add_bucket(home, MINE, PAIR)
    add_access_key(home, key)
    registry = load_registry(home)
    assert registry.file_systems == {"bmcpfs-1": a_file_system(1)}
    assert registry.buckets == {"mine": MINE}
    assert registry.access_keys == {"AKID": key}
    assert load_credentials(home.secrets_file, "mine") == PAIR


def test_comments_and_settings_stay(home: Home) -> None:
    text = "# mine\n" + home.settings_file.read_text().replace("port = 8680", "port = 99 # my port")
    home.settings_file.write_text(text)
    add_file_system(home, a_file_system(1))
    add_file_system(home, a_file_system(2))
    after = home.settings_file.read_text()
    assert after.startswith(text.rstrip("\n"))
    assert load_settings(home).port == 99
    assert list(load_registry(home).file_systems) == ["bmcpfs-1", "bmcpfs-2"]


def test_the_files_are_the_owners_alone(home: Home) -> None:
    home.settings_file.chmod(0o644)
    add_bucket(home, MINE, PAIR)
    for file in (home.settings_file, home.secrets_file, home.edit_lock):
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_second_addition_changes_nothing(home: Home) -> None:
    add_file_system(home, a_file_system(1))
    add_bucket(home, MINE, PAIR)
    before = home.settings_file.read_bytes(), home.secrets_file.read_bytes()
    with pytest.raises(SettingsError, match="bmcpfs-1 is registered already"):
        add_file_system(home, a_file_system(1))
    with pytest.raises(SettingsError, match="bucket mine is registered already"):
        add_bucket(home, MINE, Credentials(access_key_id="other", access_key_secret="other"))
    assert before == (home.settings_file.read_bytes(), home.secrets_file.read_bytes())


def test_nothing_is_written_into_a_broken_file(home: Home) -> None:
    home.settings_file.write_text("port = \n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        add_file_system(home, a_file_system(1))
    home.settings_file.write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="did you mean 'port'"):
        add_file_system(home, a_file_system(1))
    assert home.settings_file.read_text() == "prot = 1\n"
    assert sorted(os.listdir(home.path)) == ["penstock.toml", "secrets.toml", "settings.lock"]


def test_an_entry_that_would_not_be_read_is_not_written(home: Home) -> None:
    before = home.settings_file.read_bytes()
    with pytest.raises(SettingsError, match="cannot be a file system's id"):
        add_file_system(home, FileSystem(file_system_id="x", root="/mnt"))
    assert home.settings_file.read_bytes() == before


def test_a_revoked_key_stays_listed(home: Home) -> None:
    key = new_access_key(os.urandom, created_ns=0)
    add_access_key(home, key)
    revoke_access_key(home, key.access_key_id)
    assert load_registry(home).access_keys[key.access_key_id].active is False
    with pytest.raises(SettingsError, match="nobody is not registered"):
        revoke_access_key(home, "nobody")


def test_a_bucket_whose_addition_was_cut_short_can_be_added(home: Home) -> None:
    home.secrets_file.write_text('[bucket.mine]\naccess_key_id = "old"\naccess_key_secret = "old"\n')
    add_bucket(home, MINE, PAIR)
    assert load_credentials(home.secrets_file, "mine") == PAIR


def test_many_additions_at_once_all_arrive(home: Home) -> None:
    threads = [threading.Thread(target=add_file_system, args=(home, a_file_system(number))) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(load_registry(home).file_systems) == {f"bmcpfs-{number}" for number in range(12)}


def test_credentials_follow_the_file(home: Home) -> None:
    add_bucket(home, MINE, PAIR)
    assert load_credentials(home.secrets_file, "mine") == PAIR
    home.secrets_file.write_text('[bucket.mine]\naccess_key_id = "new"\naccess_key_secret = "newer"\n')
    assert load_credentials(home.secrets_file, "mine").access_key_id == "new"


@pytest.mark.parametrize(
    "text",
    ["", "[bucket", "bucket = 1", "[bucket.mine]\n", '[bucket.mine]\naccess_key_id = "hush"\naccess_key_secret = 1\n'],
)
def test_missing_credentials_say_so_without_secrets(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text(text)
    with pytest.raises(PermissionDeniedError) as caught:
        load_credentials(file, "mine")
    assert "hush" not in str(caught.value)


def test_a_missing_file_of_secrets_says_so(tmp_path: Path) -> None:
    with pytest.raises(PermissionDeniedError, match="cannot be read"):
        load_credentials(tmp_path / "secrets.toml", "mine")


def test_made_up_names_differ_and_have_the_right_shape() -> None:
    names = {new_file_system_id(os.urandom) for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == len("bmcpfs-") + 19 for name in names)
    keys = {new_access_key(os.urandom, created_ns=0).secret for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 40 and key.isalnum() for key in keys)


@pytest.mark.parametrize("before", [dict(MINE.abilities), {}], ids=["some", "none"])
def test_abilities_are_recorded_and_nothing_else_is_changed(home: Home, before: dict[str, str | bool | int]) -> None:
    known = replace(MINE, abilities=before)
    add_bucket(home, replace(MINE, name="other"), PAIR)
    add_bucket(home, known, PAIR)
    add_bucket(home, replace(MINE, name="third"), PAIR)
    seen = replace(known, abilities={"crc64": True, "versioning": "Enabled", "checksum": ""})
    record_abilities(home, known, seen)
    assert load_registry(home).buckets == {
        "other": replace(MINE, name="other"), "mine": seen, "third": replace(MINE, name="third"),
    }  # fmt: skip


def test_abilities_of_what_is_registered_otherwise_by_now_are_not_recorded(home: Home) -> None:
    add_bucket(home, MINE, PAIR)
    before = home.settings_file.read_bytes()
    for known in (replace(MINE, endpoint="http://127.0.0.1:1"), replace(MINE, name="gone")):
        with pytest.raises(SettingsError, match="try again"):
            record_abilities(home, known, replace(known, abilities={"crc64": True}))
    assert home.settings_file.read_bytes() == before
