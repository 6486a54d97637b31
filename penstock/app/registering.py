"""`penstock filesystem add | confirm` and `penstock bucket add`: look at what is to be registered, then put it into HOME's files.

Nothing is registered that cannot be reached. What a dataflow will miss later is said now, with the command that mends it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from penstock.app.reaching import reach
from penstock.app.recognising import Recognised, recognised
from penstock.emulator.making import create_bucket
from penstock.errors import NotSupportedError, PenstockError, PermissionDeniedError, SettingsError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials, ExportOptions, FileSystem, Verify
from penstock.settings.editing import add_bucket, add_file_system, record_root
from penstock.settings.entries import (
    CREDENTIALS_ALLOWED,
    PROXY_ALLOWED,
    addressing_trouble,
    default_style,
    is_credentials,
    is_endpoint,
    is_proxy,
    region_of,
)
from penstock.settings.home import Home
from penstock.settings.naming import (
    REGION,
    VERSION,
    check_bucket_name,
    check_file_system_id,
    new_embedded_credentials,
    new_file_system_id,
)
from penstock.settings.reading import load_registry, load_settings
from penstock.settings.roots import judge_roots
from penstock.stores.abilities import abilities_to_mapping
from penstock.stores.base import Abilities, Store, Versioning
from penstock.stores.keychain import Keychain

TAG_NAME, TAG_VALUE = "cpfs-dataflow", "true"
TAGS: Mapping[str, str] = {TAG_NAME: TAG_VALUE}
EMBEDDED_ABILITIES: Mapping[str, str | bool | int] = abilities_to_mapping(
    # What probing finds on an embedded bucket; known beforehand, because its server lets in only keys of registered buckets.
    Abilities(crc64=True, part_etag_is_md5=True, bucket_tags=True, versioning=Versioning.ENABLED)
)


class Check(StrEnum):
    """Whether a prerequisite of the vendor is asked for."""

    ON = "on"
    OFF = "off"


class Exports(StrEnum):
    """Whether tasks may export into a bucket."""

    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFileSystem:
    """A file system to register; an empty id is made up, with this prefix."""

    path: Path
    file_system_id: str
    version: str
    description: str
    prefix: str = "bmcpfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBucket:
    """A bucket to register. Empty region, addressing: chosen. No credentials: kind embedded, they are made up.

    `source` names where credentials come from that are not kept; then `credentials` is None. `proxy` and what follows is as
    in `Bucket`.
    """

    name: str
    kind: BucketKind
    endpoint: str
    region: str
    addressing: str
    ca_file: str
    tag_check: Check
    versioning_check: Check
    credentials: Credentials | None
    source: str = ""
    proxy: str = ""
    requester_pays: bool = False
    exports: Exports = Exports.TAKEN
    export: ExportOptions = field(default_factory=ExportOptions)
    restore_days: int = 0
    verify: Verify = Verify.STORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A bucket that is registered now, and what a person should know about it."""

    bucket: Bucket
    warnings: tuple[str, ...]


def register_file_system(home: Home, new: NewFileSystem, *, now_ns: int, entropy: Callable[[int], bytes]) -> Recognised:
    """Registers an existing directory, and marks it where it can. Raises SettingsError."""
    if new.file_system_id:
        check_file_system_id(new.file_system_id)
    if VERSION.fullmatch(new.version) is None:
        raise SettingsError(f"{new.version!r} is no version; write it like 2.7.0")
    root = Path(os.path.realpath(os.path.expanduser(new.path)))
    file_system = FileSystem(
        file_system_id=new.file_system_id or new_file_system_id(entropy, prefix=new.prefix),
        root=os.fspath(root),
        version=new.version,
        description=new.description,
        region=load_settings(home).region,
        created_ns=now_ns,
    )
    judge_roots(
        home, {**load_registry(home).file_systems, file_system.file_system_id: file_system}
    )  # before it is marked
    seen = recognised(file_system, entropy=entropy)
    add_file_system(home, seen.file_system)
    return seen


def confirm_file_system(home: Home, file_system_id: str, *, entropy: Callable[[int], bytes]) -> Recognised:
    """Takes what is at the root's path now for the registered directory. Raises SettingsError."""
    known = load_registry(home).file_systems.get(file_system_id)
    if known is None:
        raise SettingsError(f"file system {file_system_id} is not registered")
    seen = recognised(known, entropy=entropy)
    record_root(home, known, seen.file_system)
    return seen


def register_bucket(home: Home, new: NewBucket, *, entropy: Callable[[int], bytes]) -> Registered:
    """Tries the bucket out and registers it. Raises SettingsError, StoreError; then nothing is registered."""
    bucket = _judged(home, new)
    if new.name in load_registry(home).buckets:
        raise SettingsError(
            f"bucket {new.name} is registered already; see: penstock bucket list {shlex.quote(str(home.path))}"
        )
    if bucket.kind is BucketKind.EMBEDDED:
        create_bucket(home.emulator, new.name, tags=TAGS, versioning=Versioning.ENABLED.value)
        bucket = replace(bucket, abilities=EMBEDDED_ABILITIES)
        add_bucket(home, bucket, new_embedded_credentials(entropy))
        return Registered(bucket=bucket, warnings=())
    if new.credentials is None and not new.source:
        raise SettingsError(f"a bucket of kind {bucket.kind} needs a key pair")
    keys = new.credentials or Keychain(home.secrets_file, os.environ).of(bucket)
    with reach(home, bucket, keys) as store:
        bucket = replace(bucket, abilities=abilities_to_mapping(store.probe()))
        warnings = (*_ending(new.credentials), *warnings_of(missed(bucket, store)))
    add_bucket(home, bucket, new.credentials)
    return Registered(bucket=bucket, warnings=warnings)


def _judged(home: Home, new: NewBucket) -> Bucket:
    """The bucket as it will be registered, without what only trying can tell. Raises SettingsError."""
    check_bucket_name(new.name, new.kind)
    endpoint = new.endpoint.rstrip("/")
    region = new.region or region_of(endpoint)
    if new.kind is BucketKind.EMBEDDED:
        if endpoint:
            raise SettingsError("a bucket of kind embedded has no --endpoint: the service serves it itself")
        region = load_settings(home).region
    elif not is_endpoint(endpoint):
        raise SettingsError(f"--endpoint has to be http[s]://host[:port], without a path; not {new.endpoint!r}")
    if not is_credentials(new.source) or not is_proxy(new.proxy):
        raise SettingsError(f"--credentials has to be {CREDENTIALS_ALLOWED}; --proxy has to be {PROXY_ALLOWED}")
    style = AddressingStyle(new.addressing) if new.addressing else default_style(new.kind, endpoint)
    if trouble := addressing_trouble(style, endpoint, new.name):
        raise SettingsError(f"--endpoint {endpoint} with --addressing {style.value}: it has to be {trouble}")
    if REGION.fullmatch(region) is None:
        raise SettingsError("--region is missing; it is part of every signature (cn-hangzhou, us-east-1, ...)")
    return Bucket(
        name=new.name,
        kind=new.kind,
        endpoint=endpoint,
        region=region,
        addressing_style=style,
        tag_check=new.tag_check is Check.ON,
        versioning_check=new.versioning_check is Check.ON,
        ca_file=new.ca_file,
        credentials=new.source,
        proxy=new.proxy.rstrip("/"),
        requester_pays=new.requester_pays,
        exports=new.exports is Exports.TAKEN,
        export=new.export,
        restore_days=new.restore_days,
        verify=new.verify,
    )


def _ending(credentials: Credentials | None) -> tuple[str, ...]:
    if credentials is None or not credentials.security_token:
        return ()
    warning = (
        "the key pair has a session token, so it will expire: it is kept as it is, and nothing moves from then on. To have it"
        " renewed add the bucket with --credentials (environment, a file, or a role's URL)"
    )
    return (warning,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What a bucket lacks that dataflows ask for, and the command that gives it that."""

    words: str
    command: str


def missed(bucket: Bucket, store: Store) -> tuple[Missed, ...]:
    """What will stand in the way of dataflows on this bucket, each with its mending command."""
    found: list[Missed] = []
    if bucket.tag_check and (trouble := _tag_trouble(store)):
        found.append(Missed(words=f"{trouble}: CreateDataFlow will be refused", command=_tag_command(bucket)))
    if bucket.versioning_check and bucket.abilities["versioning"] != Versioning.ENABLED.value:
        words = "the bucket has no versioning: a second dataflow on it will be refused"
        found.append(Missed(words=words, command=_versioning_command(bucket)))
    return tuple(found)


def warnings_of(found: tuple[Missed, ...]) -> tuple[str, ...]:
    """Sentences for a person."""
    return tuple(f"{each.words}. Mend it with: {each.command}" for each in found)


def _tag_trouble(store: Store) -> str:
    try:
        tags = store.bucket_tags()
    except NotSupportedError:
        return "this store has no bucket tags (add the bucket with --no-tag-check)"
    except PermissionDeniedError:
        return "the key pair may not read the bucket's tags"
    except PenstockError as error:
        return f"the bucket's tags cannot be read ({error})"
    return "" if tags.get(TAG_NAME) == TAG_VALUE else f"the bucket lacks the tag {TAG_NAME}={TAG_VALUE}"


def _tag_command(bucket: Bucket) -> str:
    if bucket.kind is BucketKind.OSS:
        return f"ossutil bucket-tagging --method put oss://{bucket.name} {TAG_NAME}#{TAG_VALUE} -e {bucket.endpoint}"
    return (
        f"aws s3api put-bucket-tagging --endpoint-url {bucket.endpoint} --bucket {bucket.name} "
        f"--tagging 'TagSet=[{{Key={TAG_NAME},Value={TAG_VALUE}}}]'"
    )


def _versioning_command(bucket: Bucket) -> str:
    if bucket.kind is BucketKind.OSS:
        return f"ossutil bucket-versioning --method put oss://{bucket.name} enabled -e {bucket.endpoint}"
    return (
        f"aws s3api put-bucket-versioning --endpoint-url {bucket.endpoint} --bucket {bucket.name} "
        "--versioning-configuration Status=Enabled"
    )
