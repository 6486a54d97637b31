"""Does a running service take over what is mended, and does a narrowed key stay out of the buckets?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.app.emulator_child import KeyBook
from penstock.app.registry import LiveRegistry, opens_buckets
from penstock.errors import SettingsError
from penstock.model import AccessKey
from penstock.settings.editing import add_access_key
from penstock.settings.home import Home
from penstock.settings.writing import SECRETS_HEAD, first_settings

KEY = AccessKey(access_key_id="AKID", secret="s" * 40)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """One active key, nothing else."""
    made = Home(path=tmp_path)
    made.settings_file.write_text(first_settings({}))
    made.secrets_file.write_text(SECRETS_HEAD)
    made.secrets_file.chmod(0o600)
    add_access_key(made, KEY)
    return made


def switch_off(home: Home) -> None:
    """By hand, and readable to others: what the service refuses to read."""
    home.secrets_file.write_text(home.secrets_file.read_text().replace("active = true", "active = false"))
    home.secrets_file.chmod(0o644)


@pytest.mark.anyio
async def test_what_could_not_be_loaded_is_loaded_once_its_mode_is_mended(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveRegistry(home, region="cn-hangzhou", on_change=lambda: None)
    switch_off(home)
    for _ in range(3):
        await live.step()
    assert live.current().access_keys["AKID"].active
    assert [record.getMessage().split()[0] for record in caplog.records] == ["registry.kept_as_it_was"]
    home.secrets_file.chmod(0o600)
    await live.step()
    assert not live.current().access_keys["AKID"].active


def test_the_bucket_server_shuts_a_key_out_once_the_mode_is_mended(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    book = KeyBook(home)
    assert book.secret_of("AKID") == KEY.secret
    switch_off(home)
    assert [book.secret_of("AKID") for _ in range(3)] == [KEY.secret] * 3
    assert [record.getMessage().split()[0] for record in caplog.records] == ["emulator.keys_kept_as_they_were"]
    home.secrets_file.chmod(0o600)
    assert book.secret_of("AKID") is None


@pytest.mark.parametrize(
    ("allow", "file_systems", "opens"),
    [
        (("*",), ("*",), True),
        (("*",), ("bmcpfs-1",), False),
        (("oss:*",), ("bmcpfs-1",), True),
        (("nas:*",), ("*",), False),
    ],
)
def test_a_key_for_some_file_systems_opens_buckets_only_by_name(
    allow: tuple[str, ...], file_systems: tuple[str, ...], opens: bool
) -> None:
    key = AccessKey(access_key_id="AKID", secret="s", allow=allow, file_systems=file_systems)
    assert opens_buckets(key) is opens


def test_a_root_that_holds_home_is_not_served(home: Home) -> None:
    text = home.settings_file.read_text()
    root = json.dumps(str(home.path.parent))
    home.settings_file.write_text(f'{text}\n[file_system."bmcpfs-1"]\nroot = {root}\n')
    with pytest.raises(SettingsError, match=r"it holds .*, and the service's secrets could be exported"):
        LiveRegistry(home, region="cn-hangzhou", on_change=lambda: None)
