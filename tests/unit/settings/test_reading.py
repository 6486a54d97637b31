"""Is what a person wrote understood, and what is wrong named with file, key and what is allowed?"""

from __future__ import annotations

import re

import pytest

from penstock.errors import SettingsError
from penstock.model import AddressingStyle, BucketKind
from penstock.settings.choices import Settings, rules
from penstock.settings.home import Home
from penstock.settings.reading import load_registry, load_settings, open_home
from penstock.settings.writing import first_settings


def write(home: Home, text: str) -> None:
    home.settings_file.write_text(text)


def write_secrets(home: Home, text: str) -> None:
    home.secrets_file.write_text(text)


def test_the_first_file_says_the_defaults(home: Home) -> None:
    assert load_settings(home) == Settings()


def test_an_empty_file_means_the_defaults(home: Home) -> None:
    write(home, "")
    assert load_settings(home) == Settings()


def test_every_setting_has_a_comment_or_shares_the_one_before() -> None:
    text = first_settings({})
    for name, (rule, _) in rules().items():
        assert f"\n{name} = " in text
        assert rule.comment or name == "tls_key"
    assert max(map(len, text.splitlines())) <= 120


def test_a_changed_default_is_written(home: Home) -> None:
    write(home, first_settings({"tls_certificate": "tls/server.pem", "tls_key": "tls/server.key"}))
    assert load_settings(home).tls_certificate == "tls/server.pem"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("port = 70000", r"port = 70000 is not allowed; it has to be a whole number from 0 to 65535"),
        ("port = -1", r"port = -1 is not allowed"),
        ("port = true", r"port = True is not allowed"),
        ('port = "80"', r"port = '80' is not allowed"),
        ("port = 80.0", r"port = 80.0 is not allowed"),
        ("prot = 80", r"'prot' is not a setting; did you mean 'port'\?"),
        ("zzz = 80", r"'zzz' is not a setting$"),
        ("buckets = 1", r"'buckets' is not a setting; did you mean 'bucket'\?"),
        ('fidelity = "Strict"', r'fidelity = \'Strict\' is not allowed; it has to be "lenient" or "strict"'),
        ('subtask_path_base = ""', r'has to be "walkthrough" or "task"'),
        ('api_time_zone = "Mars/Olympus"', r"api_time_zone = 'Mars/Olympus' is not allowed"),
        ('api_time_zone = "+25:00"', r"api_time_zone"),
        ('api_time_zone = "/etc/passwd"', r"api_time_zone"),
        ('api_time_zone = "../x"', r"api_time_zone"),
        ('listen = ""', r"listen = '' is not allowed; it has to be an address or host name"),
        ('listen = "a b"', r"listen"),
        ("attempts_max = 0", r"attempts_max = 0 is not allowed; it has to be a whole number from 1 to 1000"),
        ("drain_s = inf", r"drain_s = inf is not allowed"),
        ("drain_s = nan", r"drain_s = nan is not allowed"),
        ("waiting_max = 0", r"a whole number from 1 to 100,000,000"),
        ('tls_key = "k.pem"', r"tls_certificate is empty; TLS needs both"),
        ('tls_certificate = "c.pem"', r"tls_key is empty; TLS needs both"),
        ("port = ]\nx = 1", r"penstock\.toml is not valid TOML: .*line 1"),
        ("port = 1\nport = 2", r"is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(home: Home, line: str, complaint: str) -> None:
    write(home, line)
    with pytest.raises(SettingsError, match=complaint) as caught:
        load_settings(home)
    assert str(home.settings_file) in str(caught.value)


@pytest.mark.parametrize("zone", ["UTC", "+08:00", "-03:30", "Asia/Shanghai"])
def test_time_zones_that_are_known(home: Home, zone: str) -> None:
    write(home, f'api_time_zone = "{zone}"')
    assert load_settings(home).api_time_zone == zone


def test_a_whole_number_is_a_number(home: Home) -> None:
    write(home, "drain_s = 3\nhistory_retention_days = 0.5")
    assert (load_settings(home).drain_s, load_settings(home).history_retention_days) == (3, 0.5)


FILE_SYSTEM = '[file_system."bmcpfs-1"]\nroot = "/mnt/a"\n'
BUCKET = '[bucket.mine]\nkind = "s3"\nendpoint = "http://127.0.0.1:7480"\nregion = "us-east-1"\n'


def test_what_is_registered_is_read(home: Home) -> None:
    write(home, FILE_SYSTEM + 'version = "2.6.0"\n' + BUCKET + "tag_check = false\n")
    write_secrets(home, '[access_key.AKID]\nsecret = "s"\nallow = ["nas:*"]\ncreated = 2026-01-01T00:00:00Z\n')
    registry = load_registry(home)
    assert registry.file_systems["bmcpfs-1"].version == "2.6.0"
    bucket = registry.buckets["mine"]
    assert (bucket.kind, bucket.addressing_style, bucket.tag_check) == (BucketKind.S3, AddressingStyle.PATH, False)
    key = registry.access_keys["AKID"]
    assert (key.allow, key.active, key.created_ns) == (("nas:*",), True, 1_767_225_600_000_000_000)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[file_system.other]\nroot = "/a"', "'other' cannot be a file system's id"),
        ('[file_system."bmcpfs-1"]\n', r"\[file_system\.bmcpfs-1\] lacks root"),
        ('[file_system."bmcpfs-1"]\nroot = "a"', "root = 'a' is not allowed; it has to be an absolute path"),
        (FILE_SYSTEM + "rot = 1", r"'rot' is not known here; did you mean 'root'\?"),
        (FILE_SYSTEM + 'version = "2"', "version = '2' is not allowed"),
        (FILE_SYSTEM + "created = 2026-01-01", "a time with its zone"),
        ('[bucket.mine]\nkind = "ftp"', '"oss", "s3" or "embedded"'),
        ("[bucket.mine]\n", "lacks kind"),
        ('[bucket.mine]\nkind = "oss"', "lacks endpoint"),
        ('[bucket.mine]\nkind = "oss"\nendpoint = "http://h/path"', "without a path"),
        ('[bucket.mine]\nkind = "oss"\nendpoint = "http://u:p@h"', r"has to be http\[s\]"),
        ('[bucket.mine]\nkind = "oss"\nendpoint = "http://h:x"', r"has to be http\[s\]"),
        ('[bucket.mine]\nkind = "embedded"\nendpoint = "http://h"', "left out"),
        ('[bucket.MINE]\nkind = "embedded"', "'MINE' cannot be a bucket's name"),
        ('[bucket."a.b"]\nkind = "embedded"', "only with kind s3"),
        (BUCKET + 'tag_check = "no"', "tag_check = 'no' is not allowed; it has to be true or false"),
        (BUCKET + 'addressing_style = "dns"', '"path", "virtual" or "cname"'),
        (BUCKET + "secret = 1", "'secret' is not known here; known are: kind, endpoint"),
        ("bucket = 1", r"table of entries like \[bucket\.NAME\]"),
        ("bucket.mine = 1", r"written as \[bucket\.mine\]"),
    ],
)
def test_a_wrong_entry_is_named(home: Home, text: str, complaint: str) -> None:
    write(home, text)
    with pytest.raises(SettingsError, match=complaint):
        load_registry(home)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[access_key.AKID]\n", "lacks secret"),
        ('[access_key.AKID]\nsecret = ""', "secret = this value is not allowed"),
        ('[access_key.AKID]\nsecret = "hush"\nallow = "*"', "a list of texts"),
        ('[access_key."a b"]\nsecret = "hush"', "an access key id has letters"),
        ('[access_keys.AKID]\nsecret = "hush"', r"did you mean 'access_key'\?"),
        ('[access_key.AKID]\nsecret = "hush"\nactiv = false', r"did you mean 'active'\?"),
    ],
)
def test_a_wrong_key_is_named_without_its_secret(home: Home, text: str, complaint: str) -> None:
    write_secrets(home, text)
    with pytest.raises(SettingsError, match=complaint) as caught:
        load_registry(home)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_secrets_that_others_can_read_are_refused(home: Home, mode: int) -> None:
    home.secrets_file.chmod(mode)
    with pytest.raises(SettingsError, match=re.escape(f"chmod 600 {home.secrets_file}")):
        load_registry(home)


@pytest.mark.parametrize(
    ("kind", "endpoint", "style"),
    [
        ("oss", "https://oss-cn-hangzhou.aliyuncs.com", AddressingStyle.VIRTUAL_HOST),
        ("oss", "http://127.0.0.1:8681", AddressingStyle.PATH),
        ("oss", "http://[::1]:8681", AddressingStyle.PATH),
        ("oss", "http://localhost:8681", AddressingStyle.PATH),
        ("s3", "https://s3.example.org", AddressingStyle.PATH),
    ],
)
def test_path_style_is_the_default_where_there_is_no_domain(
    home: Home, kind: str, endpoint: str, style: AddressingStyle
) -> None:
    write(home, f'[bucket.mine]\nkind = "{kind}"\nendpoint = "{endpoint}"\n')
    assert load_registry(home).buckets["mine"].addressing_style is style


def test_a_directory_that_is_no_home_says_how_to_make_one(home: Home) -> None:
    home.settings_file.unlink()
    with pytest.raises(SettingsError, match=r"penstock\.toml is missing\); make it with: penstock init"):
        open_home(home.path)
