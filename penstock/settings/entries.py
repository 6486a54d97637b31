"""One named table of the two files (`[bucket.NAME]`, `[file_system."ID"]`, `[access_key.ID]`) as a value of the model, and back.

Judges every key; raises SettingsError that names file, table, key and what is allowed. No I/O.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from penstock.errors import SettingsError
from penstock.model import (
    ENVIRONMENT,
    AccessKey,
    AddressingStyle,
    Bucket,
    BucketKind,
    ExportOptions,
    FileSystem,
    Verify,
)
from penstock.settings.naming import ACCESS_KEY_ID, REGION, VERSION, check_bucket_name, check_file_system_id, nearest

_MARK = re.compile(r"(?:[0-9a-f]{32})?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A named table as it was read, with where it stands."""

    path: Path
    table: str
    name: str
    values: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Where this table is, as the beginning of a sentence."""
        name = self.name if _BARE_KEY.fullmatch(self.name) else f'"{self.name}"'
        return f"{self.path}: [{self.table}.{name}]"

    def refuse(self, key: str, allowed: str) -> NoReturn:
        """Raises SettingsError about one key."""
        if key not in self.values:
            raise SettingsError(f"{self.place} lacks {key}: {allowed}")
        shown = "this value" if key == "secret" else repr(self.values[key])
        raise SettingsError(f"{self.place} {key} = {shown} is not allowed; it has to be {allowed}")

    def only(self, *known: str) -> None:
        """Raises SettingsError when there is a key besides the known ones."""
        for key in self.values:
            if key not in known:
                hint = nearest(key, known) or f"; known are: {', '.join(known)}"
                raise SettingsError(f"{self.place} {key!r} is not known here{hint}")

    def text(
        self, key: str, default: str | None = None, *, pattern: re.Pattern[str] | None = None, allowed: str
    ) -> str:
        """A text; without a default it must be there."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or (pattern is not None and pattern.fullmatch(value) is None):
            self.refuse(key, allowed)
        return value

    def is_on(self, key: str) -> bool:
        """true or false; true where nothing is told."""
        value = self.values.get(key, True)
        if not isinstance(value, bool):
            self.refuse(key, "true or false")
        return value

    def is_asked_for(self, key: str) -> bool:
        """true or false; false where nothing is told."""
        return key in self.values and self.is_on(key)

    def whole(self, key: str, *, most: int) -> int:
        """A whole number from 0 on; 0 where it is not told."""
        value = self.values.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            self.refuse(key, f"a whole number from 0 to {most}")
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            self.refuse(key, 'a list of texts, like ["*"]')
        return tuple(value)

    def moment_ns(self, key: str) -> int:
        """A time with its zone; 0 where it is not told."""
        value = self.values.get(key)
        if value is None:
            return 0
        if not isinstance(value, datetime) or value.tzinfo is None:
            self.refuse(key, "a time with its zone, like 2026-01-31T12:00:00Z")
        return int(value.timestamp()) * 1_000_000_000


def file_system_of(entry: Entry) -> FileSystem:
    """`[file_system."bmcpfs-..."]` as a FileSystem. Raises SettingsError."""
    entry.only(
        "root", "version", "description", "region", "created", "mount_type", "mount_source", "mount_point", "mark"
    )
    check_file_system_id(entry.name)
    root = entry.text("root", allowed="the absolute path of an existing directory")
    if not root.startswith("/"):
        entry.refuse("root", "an absolute path")
    return FileSystem(
        file_system_id=entry.name,
        root=root,
        version=entry.text("version", "2.7.0", pattern=VERSION, allowed='a version like "2.7.0"'),
        description=entry.text("description", "", allowed="text in quotes"),
        region=entry.text("region", "cn-hangzhou", pattern=REGION, allowed='a region like "cn-hangzhou"'),
        created_ns=entry.moment_ns("created"),
        mount_type=entry.text("mount_type", "", allowed="text in quotes"),
        mount_source=entry.text("mount_source", "", allowed="text in quotes"),
        mount_point=entry.text("mount_point", "", allowed="text in quotes"),
        mark=entry.text("mark", "", pattern=_MARK, allowed="the 32 hexadecimal digits of its .penstock-root"),
    )


_BUCKET_KEYS = (
    "kind",
    "endpoint",
    "region",
    "addressing_style",
    "tag_check",
    "versioning_check",
    "ca_file",
    "credentials",
    "proxy",
    "requester_pays",
    "exports",
    "storage_class",
    "object_acl",
    "encryption",
    "encryption_key",
    "restore_days",
    "verify",
    "abilities",
)
_WORD = re.compile(r"[A-Za-z0-9._:/+=@-]{0,2048}")
RESTORE_DAYS_MAX = 365


def bucket_of(entry: Entry) -> Bucket:
    """`[bucket.NAME]` as a Bucket. Raises SettingsError."""
    entry.only(*_BUCKET_KEYS)
    kind_word = entry.text("kind", allowed='"oss", "s3" or "embedded"')
    if kind_word not in set(BucketKind):
        entry.refuse("kind", '"oss", "s3" or "embedded"')
    kind = BucketKind(kind_word)
    check_bucket_name(entry.name, kind)
    endpoint = _endpoint(entry, kind)
    style = entry.text("addressing_style", default_style(kind, endpoint), allowed='"path", "virtual" or "cname"')
    if style not in set(AddressingStyle):
        entry.refuse("addressing_style", '"path", "virtual" or "cname"')
    if trouble := addressing_trouble(AddressingStyle(style), endpoint, entry.name):
        entry.refuse("addressing_style" if "addressing_style" in entry.values else "endpoint", trouble)
    verify = entry.text("verify", Verify.STORE.value, allowed='"store" or "read-back"')
    if verify not in set(Verify):
        entry.refuse("verify", '"store" or "read-back"')
    abilities = entry.values.get("abilities", {})
    if not isinstance(abilities, Mapping) or not all(
        isinstance(value, str | bool | int) for value in abilities.values()
    ):
        entry.refuse("abilities", "the table that `penstock bucket add` wrote")
    return Bucket(
        name=entry.name,
        kind=kind,
        endpoint=endpoint,
        region=entry.text("region", "cn-hangzhou", pattern=REGION, allowed='a region like "cn-hangzhou"'),
        addressing_style=AddressingStyle(style),
        tag_check=entry.is_on("tag_check"),
        versioning_check=entry.is_on("versioning_check"),
        ca_file=entry.text("ca_file", "", allowed="the path of a PEM file"),
        credentials=_credentials(entry),
        proxy=_proxy(entry),
        requester_pays=entry.is_asked_for("requester_pays"),
        exports=entry.is_on("exports"),
        export=ExportOptions(
            storage_class=entry.text("storage_class", "", pattern=_WORD, allowed="a storage class of the service"),
            acl=entry.text("object_acl", "", pattern=_WORD, allowed="an ACL of the service"),
            encryption=entry.text("encryption", "", pattern=_WORD, allowed="a method of the service, like AES256"),
            encryption_key=entry.text("encryption_key", "", pattern=_WORD, allowed="the id of a key"),
        ),
        restore_days=entry.whole("restore_days", most=RESTORE_DAYS_MAX),
        verify=Verify(verify),
        abilities=dict(abilities),
    )


def _endpoint(entry: Entry, kind: BucketKind) -> str:
    if kind is BucketKind.EMBEDDED:
        if entry.values.get("endpoint"):
            entry.refuse("endpoint", "left out: the service knows where its embedded bucket is")
        return ""
    endpoint = entry.text("endpoint", allowed="http[s]://host[:port]").rstrip("/")
    if not is_endpoint(endpoint):
        entry.refuse("endpoint", "http[s]://host[:port], without a path")
    return endpoint


def _credentials(entry: Entry) -> str:
    word = entry.text("credentials", "", allowed=CREDENTIALS_ALLOWED)
    if not is_credentials(word):
        entry.refuse("credentials", CREDENTIALS_ALLOWED)
    return word


def _proxy(entry: Entry) -> str:
    proxy = entry.text("proxy", "", allowed=PROXY_ALLOWED).rstrip("/")
    if not is_proxy(proxy):
        entry.refuse("proxy", PROXY_ALLOWED)
    return proxy


CREDENTIALS_ALLOWED = f'left out (secrets.toml), "{ENVIRONMENT}", the absolute path of a file, or an http[s]:// URL'
PROXY_ALLOWED = "http://host:port, without user and password"


def is_credentials(word: str) -> bool:
    """Whether it names a place of credentials, or is empty."""
    if word in {"", ENVIRONMENT} or word.startswith("/"):
        return word.isprintable()
    try:
        parts = urlsplit(word)
        _ = parts.port
    except ValueError:
        return False
    is_plain = word.isascii() and word.isprintable() and " " not in word and "@" not in parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_plain and not parts.fragment


def is_proxy(word: str) -> bool:
    """Whether it is `http://host[:port]`, or empty."""
    return not word or (is_endpoint(word) and word.startswith("http://"))


def is_endpoint(text: str) -> bool:
    """Whether it is `http[s]://host[:port]` and nothing more."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    beyond = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not beyond


ALIYUN = ".aliyuncs.com"
_REGIONS = (
    re.compile(r"(?:s3\.)?(?:vpc[0-9]*-)?oss-([a-z]{2}-[a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com"),
    re.compile(r"((?:af|ap|cn|eu|me|na|sa|us)-[a-z0-9-]+?)(?:-internal)?\.oss\.aliyuncs\.com"),  # else a bucket's name
    re.compile(r"(?:[a-z0-9-]+\.)?oss\.([a-z]{2}-[a-z0-9-]+)\.privatelink\.aliyuncs\.com"),
    re.compile(r"s3[.-]([a-z]{2}-[a-z0-9-]+-[0-9])\.amazonaws\.com(?:\.cn)?"),
)


def region_of(endpoint: str) -> str:
    """The region that an endpoint of a known service names; empty where it names none (accelerate, CNAME, other services)."""
    host = urlsplit(endpoint).hostname or ""
    match = next((match for match in (pattern.fullmatch(host) for pattern in _REGIONS) if match), None)
    return match[1] if match is not None and "accelerate" not in match[1] else ""


def default_style(kind: BucketKind, endpoint: str) -> AddressingStyle:
    """Virtual hosts for OSS, which takes nothing else, also in S3's words. Path style for other S3 (every server has it), for IP
    addresses and for bare host names."""
    host = urlsplit(endpoint).hostname or ""
    if host.endswith(ALIYUN):
        return AddressingStyle.VIRTUAL_HOST
    if kind is not BucketKind.OSS or "." not in host or is_ip_address(host):
        return AddressingStyle.PATH
    return AddressingStyle.VIRTUAL_HOST


def addressing_trouble(style: AddressingStyle, endpoint: str, bucket: str) -> str:
    """Why requests to this endpoint cannot name the bucket so, as the end of a sentence; empty where they can."""
    host = urlsplit(endpoint).hostname or ""
    if style is AddressingStyle.PATH and host.endswith(ALIYUN):
        return '"virtual" at Alibaba Cloud: it refuses path style'
    if style is AddressingStyle.VIRTUAL_HOST and is_ip_address(host):
        return '"path" at an IP address'
    if style is AddressingStyle.VIRTUAL_HOST and host.startswith(f"{bucket}."):
        return 'the endpoint without the bucket\'s name, or with addressing_style = "cname"'
    return ""


def is_ip_address(host: str) -> bool:
    """Whether it is no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def access_key_of(entry: Entry) -> AccessKey:
    """`[access_key.ID]` as an AccessKey. Raises SettingsError; a message never holds the secret."""
    entry.only("secret", "allow", "file_systems", "active", "description", "created")
    if ACCESS_KEY_ID.fullmatch(entry.name) is None:
        raise SettingsError(f"{entry.place}: an access key id has letters, digits, '.', '_' and '-'")
    secret = entry.values.get("secret")
    if not isinstance(secret, str) or not secret:
        entry.refuse("secret", "text in quotes, not empty")
    return AccessKey(
        access_key_id=entry.name,
        secret=secret,
        allow=entry.texts("allow", ("*",)),
        file_systems=entry.texts("file_systems", ("*",)),
        active=entry.is_on("active"),
        description=entry.text("description", "", allowed="text in quotes"),
        created_ns=entry.moment_ns("created"),
    )


def file_system_values(file_system: FileSystem) -> dict[str, Any]:
    """A FileSystem as the values of its table; what is empty is left out."""
    return _told(
        root=file_system.root,
        version=file_system.version,
        description=file_system.description,
        region=file_system.region,
        mount_type=file_system.mount_type,
        mount_source=file_system.mount_source,
        mount_point=file_system.mount_point,
        mark=file_system.mark,
        created=_moment(file_system.created_ns),
    )


def bucket_values(bucket: Bucket) -> dict[str, Any]:
    """A Bucket as the values of its table; what is empty or default is left out."""
    return _told(
        kind=bucket.kind.value,
        endpoint="" if bucket.kind is BucketKind.EMBEDDED else bucket.endpoint,
        region=bucket.region,
        addressing_style=bucket.addressing_style.value,
        tag_check=None if bucket.tag_check else False,
        versioning_check=None if bucket.versioning_check else False,
        ca_file=bucket.ca_file,
        credentials=bucket.credentials,
        proxy=bucket.proxy,
        requester_pays=bucket.requester_pays or None,
        exports=None if bucket.exports else False,
        storage_class=bucket.export.storage_class,
        object_acl=bucket.export.acl,
        encryption=bucket.export.encryption,
        encryption_key=bucket.export.encryption_key,
        restore_days=bucket.restore_days or None,
        verify="" if bucket.verify is Verify.STORE else bucket.verify.value,
        abilities=dict(bucket.abilities) or None,
    )


def access_key_values(key: AccessKey) -> dict[str, Any]:
    """An AccessKey as the values of its table."""
    return _told(
        secret=key.secret,
        allow=list(key.allow),
        file_systems=list(key.file_systems),
        active=key.active,
        description=key.description,
        created=_moment(key.created_ns),
    )


def _told(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != ""}


def _moment(time_ns: int) -> datetime | None:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC) if time_ns else None
