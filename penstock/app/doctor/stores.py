"""Looks at a bucket as the service would use it: endpoint, clock, key pair, rights, ranges, checksums, tag, versioning, uploads.

Writes small objects `.penstock-probe-*` and removes them. Every request has a short bound in time.
"""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import fastcrc

from penstock.app.doctor.findings import Finding, Grade, ok, problem, warning
from penstock.app.doctor.greeting import Greeting, greet
from penstock.app.reaching import reach
from penstock.app.registering import missed
from penstock.errors import PenstockError, PermissionDeniedError, SettingsError, StoreError
from penstock.model import Bucket, BucketKind, Credentials
from penstock.settings.home import Home, probe_command
from penstock.stores.abilities import abilities_to_mapping
from penstock.stores.addressing import address_of
from penstock.stores.base import ByteRange, Overwrite, Store, Versioning
from penstock.stores.keychain import Keychain
from penstock.stores.probing import PROBE_PREFIX

SKEW_MUCH_S, SKEW_TOO_MUCH_S = 60.0, 840.0
"""Signatures are refused from fifteen minutes on."""
CERTIFICATE_DAYS_LEAST = 14
UPLOADS_LOOKED_AT = 1000
OLD_NS = 7 * 86_400 * 10**9
CONTENT = bytes(range(256)) * 16
RANGE = ByteRange(offset=1000, length_bytes=500)


def look_at_bucket(home: Home, bucket: Bucket) -> Iterator[Finding]:
    """All of it, in the order in which one thing needs the other."""
    about = f"bucket {bucket.name}"
    if bucket.kind is not BucketKind.EMBEDDED:
        found = list(_endpoint(about, bucket))
        yield from found
        if any(each.grade is Grade.PROBLEM for each in found):
            return
    elif not home.emulator.is_dir():
        words = f"its objects are not here: {home.emulator} is missing"
        yield problem(about, words, "put that directory back, or remove the bucket's table from penstock.toml")
        return
    try:
        keys = Keychain(home.secrets_file, os.environ).of(bucket)
    except (PermissionDeniedError, SettingsError) as error:
        yield problem(about, f"there is no key pair for it: {error}", _again_command(home, bucket))
        return
    if isinstance(keys, Credentials) and keys.security_token and not bucket.credentials:
        yield warning(
            about,
            "its key pair has a session token, and will expire: nothing moves from then on",
            _again_command(home, bucket),
        )
    with reach(home, replace(bucket, abilities={}), keys) as store:
        yield from look_at_store(home, about, bucket, store)


def _again_command(home: Home, bucket: Bucket) -> str:
    return (
        f"put a key pair for [bucket.{bucket.name}] into {shlex.quote(str(home.secrets_file))}, or name where one comes from "
        "by credentials in penstock.toml"
    )


def _endpoint(about: str, bucket: Bucket) -> Iterator[Finding]:
    address = address_of(bucket.name, bucket.endpoint, bucket.addressing_style)
    found = greet(f"{address.scheme}://{address.host_header}", ca_file=bucket.ca_file, proxy=bucket.proxy)
    if found.trouble:
        by = f" (through {bucket.proxy})" if bucket.proxy else ""
        yield problem(
            about,
            f"{bucket.endpoint}{by}: {found.trouble}",
            f"see whether it can be reached: curl -sv {bucket.endpoint}; set endpoint, proxy and ca_file in penstock.toml",
        )
        return
    yield from clock(about, found)
    if found.certificate_days is not None and found.certificate_days < CERTIFICATE_DAYS_LEAST:
        yield warning(
            about, f"the certificate of {bucket.endpoint} ends in {found.certificate_days:.0f} days", "tell who runs it"
        )
    tls = f", {found.tls}" if found.tls else ", not encrypted"
    yield ok(about, f"{bucket.endpoint} answers in {found.took_s * 1000:.0f} ms{tls}")


def clock(about: str, found: Greeting) -> Iterator[Finding]:
    """Whether its clock and ours agree."""
    if found.skew_s is None:
        return
    words = f"its clock is {abs(found.skew_s):.0f} s {'before' if found.skew_s > 0 else 'behind'} this machine's"
    mend = "timedatectl set-ntp true here, or tell who runs it"
    if abs(found.skew_s) > SKEW_TOO_MUCH_S:
        yield problem(about, f"{words}: signatures are refused", mend)
    elif abs(found.skew_s) > SKEW_MUCH_S:
        yield warning(about, f"{words}; from fifteen minutes on signatures are refused", mend)


def look_at_store(home: Home, about: str, bucket: Bucket, store: Store) -> Iterator[Finding]:
    """What it can do, and what its key pair may. `store` was opened as if nothing was recorded of it."""
    try:
        abilities = store.probe()
    except StoreError as error:
        yield problem(about, f"it cannot be tried out: {error}", _rights_command(bucket))
        return
    found = abilities_to_mapping(abilities)
    changed = [name for name, value in found.items() if name in bucket.abilities and bucket.abilities[name] != value]
    if changed:
        yield warning(about, f"{', '.join(changed)}: not what is recorded any more", probe_command(home, bucket.name))
    yield from (warning(about, each.words, each.command) for each in missed(replace(bucket, abilities=found), store))
    told = [*_bytes(about, store, abilities.versioning), *_leftovers(home, about, bucket, store)]
    yield from told
    if not any(each.grade is Grade.PROBLEM for each in told):
        compared = (
            "CRC-64" if abilities.crc64 else abilities.checksum.value or "MD5" * abilities.content_md5 or "sizes only"
        )
        yield ok(
            about,
            f"lists, reads, writes and deletes; exports are compared by {compared}; versioning {abilities.versioning.value}",
        )


def _rights_command(bucket: Bucket) -> str:
    wanted = "Get, Put, Delete and List of objects, and of their uploads and versions"
    return (
        f"give its key pair the rights to {wanted} in {bucket.scheme}://{bucket.name}; see whether the bucket is there"
    )


def _bytes(about: str, store: Store, versioning: Versioning) -> Iterator[Finding]:
    """One object there and back, whole and in part."""
    key = f"{PROBE_PREFIX}{secrets.token_hex(8)}"
    try:
        put = store.put(key, [CONTENT], crc64=fastcrc.crc64.xz(CONTENT), metadata={}, precondition=Overwrite())
    except PermissionDeniedError as error:
        yield problem(
            about,
            f"its key pair may not write: imports work, exports do not ({error})",
            "give it the right to put objects",
        )
        return
    try:
        if _read(store, key, None) != CONTENT:
            yield problem(about, "an object that was read is not what was written", "do not use this store")
        if _read(store, key, RANGE) != CONTENT[RANGE.offset : RANGE.offset + RANGE.length_bytes]:
            yield problem(about, "a range of an object is not what was asked for: large imports will fail")
        with suppress(StoreError):
            if (told := store.head(key).crc64) is not None and told != fastcrc.crc64.xz(CONTENT):
                yield problem(about, "the CRC-64 that it tells is not that of the object: every export will fail")
    except PermissionDeniedError as error:
        yield problem(
            about,
            f"its key pair may not read: exports work, imports do not ({error})",
            "give it the right to get objects",
        )
    except StoreError as error:
        yield problem(about, f"what was written cannot be read as files are: {error}")
    finally:
        yield from _removed(
            about, lambda: store.delete(key, version_id="" if versioning is Versioning.NEVER else put.version_id)
        )


def _read(store: Store, key: str, byte_range: ByteRange | None) -> bytes:
    with store.get(key, byte_range=byte_range) as stream:
        buffer, filled = bytearray(len(CONTENT)), 0
        while filled < len(buffer) and (count := stream.readinto(memoryview(buffer)[filled:])):
            filled += count
    return bytes(buffer[:filled])


def _removed(about: str, remove: Callable[[], None]) -> Iterator[Finding]:
    try:
        remove()
    except StoreError as error:
        yield problem(
            about,
            f"its key pair may not delete: cancels cannot withdraw exports ({error})",
            "give it the right to delete objects",
        )


def _leftovers(home: Home, about: str, bucket: Bucket, store: Store) -> Iterator[Finding]:
    """Probe objects of commands that were killed, and uploads that nobody has gone on with for a week."""
    with suppress(PenstockError):
        objects = store.list_objects(prefix=PROBE_PREFIX, limit=100).objects
        if objects:
            keys = " ".join(each.key for each in objects[:5])
            where = f"penstock object rm {shlex.quote(str(home.path))} {bucket.name}"
            yield warning(
                about, f"{len(objects)} probe objects were left by commands that were killed", f"{where} {keys}"
            )
        now_ns = time.time_ns()
        uploads = [
            each
            for each in islice(store.list_uploads(prefix=""), UPLOADS_LOOKED_AT)
            if now_ns - each.initiated_ns > OLD_NS
        ]
        if uploads:
            yield warning(
                about,
                f"{len(uploads)} uploads were begun more than a week ago and not completed, and cost what they hold: "
                f"{uploads[0].key} is the first",
                _abort_command(bucket, uploads[0].key, uploads[0].upload_id),
            )


def _abort_command(bucket: Bucket, key: str, upload_id: str) -> str:
    """For those that are nobody's: a rule of the bucket does it for all, and for good."""
    rule = "a lifecycle rule AbortIncompleteMultipartUpload; or one by one: "
    if bucket.kind is BucketKind.S3:
        return (
            f"{rule}aws s3api abort-multipart-upload --endpoint-url {bucket.endpoint} --bucket {bucket.name} "
            f"--key {shlex.quote(key)} --upload-id {shlex.quote(upload_id)}"
        )
    return f"{rule}ossutil rm --multipart {shlex.quote(f'oss://{bucket.name}/{key}')}"
