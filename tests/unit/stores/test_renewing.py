"""Credentials that end: read from documents of either family, asked for anew ahead of their end, expired ones told apart."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import PermissionDeniedError, StoreError, StoreUnavailableError
from penstock.model import BucketKind, Credentials
from penstock.stores.addressing import UnsignedRequest
from penstock.stores.exchange import Signer
from penstock.stores.keychain import Keychain, passed_on
from penstock.stores.oss_signature import OssSignerV1, OssSignerV4
from penstock.stores.renewing import AHEAD_NS, ASK_AGAIN_NS, Renewing, RenewingSigner
from penstock.stores.s3_signature import S3Signer
from penstock.stores.sources import FileSource
from penstock.stores.temporary import NEVER_NS, Temporary, temporary_of
from tests.fixtures.registered import registered_bucket

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
NOW_NS = 1_800_000_000 * SECOND_NS
SECRET = "topsecret-of-a-role"
PATIENCE_S = 60.0


def numbered(number: int, *, ends_ns: int) -> Temporary:
    return Temporary(
        credentials=Credentials(access_key_id=f"STS.{number}", access_key_secret=SECRET, security_token=f"t{number}"),
        expires_ns=ends_ns,
    )


class Scripted:
    """A source that gives what is put into it, an error for instance, and counts."""

    place = "the test"

    def __init__(self, *gives: Temporary | StoreError, look_every_ns: int | None = None) -> None:
        self.gives = list(gives)
        self.asked = 0
        self.look_every_ns = look_every_ns

    def fetch(self) -> Temporary:
        self.asked += 1
        given = self.gives[0] if len(self.gives) == 1 else self.gives.pop(0)
        if isinstance(given, StoreError):
            raise given
        return given


# ------------------------------------------------------------------------------------------------------------ documents


@pytest.mark.parametrize(
    "told",
    [
        {"Code": "Success", "AccessKeyId": "STS.x", "AccessKeySecret": SECRET, "SecurityToken": "t"},
        {"Code": "Success", "AccessKeyId": "STS.x", "SecretAccessKey": SECRET, "Token": "t", "Type": "AWS-HMAC"},
        {"Version": 1, "AccessKeyId": "STS.x", "SecretAccessKey": SECRET, "SessionToken": "t"},
        {"RequestId": "r", "Credentials": {"AccessKeyId": "STS.x", "AccessKeySecret": SECRET, "SecurityToken": "t"}},
    ],
    ids=["metadata of ECS", "metadata of EC2", "credential process", "AssumeRole"],
)
def test_documents_of_both_families_are_read(told: dict[str, object]) -> None:
    wanted = Credentials(access_key_id="STS.x", access_key_secret=SECRET, security_token="t")
    assert temporary_of(json.dumps(told).encode(), place="here") == Temporary(credentials=wanted, expires_ns=NEVER_NS)
    inner = told.get("Credentials", told)
    assert isinstance(inner, dict)
    for ending in ("2027-01-15T08:00:00Z", "2027-01-15T16:00:00+08:00", 1_800_000_000):
        inner["Expiration"] = ending
        assert temporary_of(json.dumps(told).encode(), place="here").expires_ns == NOW_NS


@pytest.mark.parametrize(
    "document",
    [
        b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 70_000, b'{"a":"' + b"x" * 70_000 + b'"}',
        json.dumps({"AccessKeyId": "STS.x"}).encode(),
        json.dumps({"AccessKeyId": 5, "AccessKeySecret": SECRET}).encode(),
        json.dumps({"Code": "Failed", "AccessKeyId": "STS.x", "AccessKeySecret": SECRET}).encode(),
        json.dumps({"Code": SECRET}).encode(),
        json.dumps({"Code": {"AccessKeySecret": SECRET}}).encode(),
        json.dumps({"Code": [SECRET], "AccessKeyId": "STS.x", "AccessKeySecret": SECRET}).encode(),
        json.dumps({"AccessKeyId": "STS.x", "AccessKeySecret": SECRET, "Expiration": "soon"}).encode(),
        json.dumps({"AccessKeyId": "STS.x", "AccessKeySecret": SECRET, "Expiration": "2027-01-15T08:00:00"}).encode(),
    ],
)  # fmt: skip
def test_other_documents_are_refused_without_being_told(document: bytes) -> None:
    with pytest.raises(PermissionDeniedError, match="credentials of here") as caught:
        temporary_of(document, place="here")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("Failed", "its Code is Failed, not Success"),
        ("Z" * 41, "its Code is not Success"),
        ("no code: 1", "its Code is not Success"),
        (None, "its Code is not Success"),
    ],
)
def test_of_a_code_only_a_word_is_told(code: str | None, words: str) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        temporary_of(json.dumps({"Code": code}).encode(), place="here")
    assert str(caught.value).endswith(f": {words}")


# ------------------------------------------------------------------------------------------------------------- renewing


def test_they_are_asked_for_anew_ahead_of_their_end_and_not_before() -> None:
    source = Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS), numbered(2, ends_ns=NOW_NS + 2 * HOUR_NS))
    renewing = Renewing(source)
    for moment_ns in (NOW_NS, NOW_NS + 1, NOW_NS + HOUR_NS - AHEAD_NS - 1):
        assert renewing.at(moment_ns).access_key_id == "STS.1"
    assert source.asked == 1
    assert renewing.at(NOW_NS + HOUR_NS - AHEAD_NS).access_key_id == "STS.2"
    assert renewing.at(NOW_NS + HOUR_NS).access_key_id == "STS.2"
    assert source.asked == 2


def test_a_source_that_is_away_does_no_harm_while_they_hold() -> None:
    away = StoreUnavailableError("away")
    source = Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS), away)
    renewing = Renewing(source)
    first = renewing.at(NOW_NS)
    late_ns = NOW_NS + HOUR_NS - AHEAD_NS
    assert renewing.at(late_ns) is first
    assert renewing.at(late_ns + ASK_AGAIN_NS - 1) is first  # not asked again at once
    assert source.asked == 2
    assert renewing.at(NOW_NS + HOUR_NS - 1) is first
    assert source.asked == 3
    with pytest.raises(StoreUnavailableError, match="away"):
        renewing.at(NOW_NS + HOUR_NS)
    with pytest.raises(StoreUnavailableError, match="away"):
        renewing.at(NOW_NS + HOUR_NS)  # told again without asking
    assert source.asked == 4


def test_expired_ones_are_a_wait_with_a_reason() -> None:
    renewing = Renewing(Scripted(numbered(1, ends_ns=NOW_NS)))
    with pytest.raises(StoreUnavailableError, match=r"the test have expired \(2027-01-15T08:00:00Z\)") as caught:
        renewing.at(NOW_NS)
    assert caught.value.waiting_helps
    assert SECRET not in str(caught.value)


def test_while_one_asks_others_go_on_with_what_holds() -> None:
    asking, may_answer = threading.Event(), threading.Event()

    class Slow(Scripted):
        def fetch(self) -> Temporary:
            if self.asked:
                asking.set()
                assert may_answer.wait(PATIENCE_S)
            return super().fetch()

    renewing = Renewing(Slow(numbered(1, ends_ns=NOW_NS + HOUR_NS), numbered(2, ends_ns=NOW_NS + 2 * HOUR_NS)))
    renewing.at(NOW_NS)
    late_ns = NOW_NS + HOUR_NS - 1
    found: list[str] = []
    asker = threading.Thread(target=lambda: found.append(renewing.at(late_ns).access_key_id))
    asker.start()
    try:
        assert asking.wait(PATIENCE_S)
        assert renewing.at(late_ns).access_key_id == "STS.1"
    finally:
        may_answer.set()
        asker.join(PATIENCE_S)
    assert found == ["STS.2"]


def test_refused_ones_are_asked_for_anew_but_not_again_and_again() -> None:
    source = Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS), numbered(2, ends_ns=NOW_NS + 2 * HOUR_NS))
    renewing = Renewing(source)
    first = renewing.at(NOW_NS)
    renewing.doubt(first, NOW_NS + ASK_AGAIN_NS - 1)
    assert renewing.at(NOW_NS + ASK_AGAIN_NS) is first
    renewing.doubt(first, NOW_NS + ASK_AGAIN_NS)
    second = renewing.at(NOW_NS + ASK_AGAIN_NS)
    assert second.access_key_id == "STS.2"
    renewing.doubt(first, NOW_NS + 3 * ASK_AGAIN_NS)  # an answer to a request of before
    assert renewing.at(NOW_NS + 3 * ASK_AGAIN_NS) is second


@pytest.mark.parametrize("back_ns", [60 * SECOND_NS, HOUR_NS, 24 * HOUR_NS, 20 * 365 * 24 * HOUR_NS])
def test_a_clock_that_is_set_back_stops_nothing(back_ns: int) -> None:
    """Boards without a battery, and hosts whose clock was ahead at boot: nothing waits until it is that late once more."""
    expired = Renewing(Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS // 2)))
    with pytest.raises(StoreUnavailableError, match="have expired"):
        expired.at(NOW_NS + HOUR_NS // 2)
    assert expired.at(NOW_NS + HOUR_NS // 2 - back_ns).access_key_id == "STS.1"

    source = Scripted(numbered(1, ends_ns=NOW_NS + 9 * HOUR_NS), numbered(2, ends_ns=NOW_NS + 9 * HOUR_NS))
    renewing = Renewing(source)
    assert renewing.at(NOW_NS).access_key_id == "STS.1"
    second = renewing.at(NOW_NS - back_ns)
    assert second.access_key_id == "STS.2"
    assert renewing.at(NOW_NS - back_ns + SECOND_NS) is second
    assert source.asked == 2  # once, by the clock as it is now


def test_a_refusal_is_heard_although_the_clock_was_set_back() -> None:
    source = Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS), numbered(2, ends_ns=NOW_NS + 2 * HOUR_NS))
    renewing = Renewing(source)
    first = renewing.at(NOW_NS)
    renewing.doubt(first, NOW_NS - HOUR_NS)
    assert renewing.at(NOW_NS - HOUR_NS).access_key_id == "STS.2"


def test_a_thread_that_read_the_clock_a_little_earlier_asks_nothing() -> None:
    source = Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS))
    renewing = Renewing(source)
    assert renewing.at(NOW_NS) is renewing.at(NOW_NS - SECOND_NS)
    assert source.asked == 1


@pytest.mark.parametrize("made", ["v4", "v1", "s3"])
def test_requests_are_signed_with_what_holds_then_and_carry_its_token(made: str) -> None:
    renewing = Renewing(Scripted(numbered(1, ends_ns=NOW_NS + HOUR_NS), numbered(2, ends_ns=NOW_NS + 9 * HOUR_NS)))
    signers: dict[str, Callable[[Credentials], Signer]] = {
        "v4": lambda known: OssSignerV4(known, "cn-hangzhou"),
        "v1": OssSignerV1,
        "s3": lambda known: S3Signer(known, "us-east-1"),
    }
    header = "x-amz-security-token" if made == "s3" else "x-oss-security-token"
    signer = RenewingSigner(renewing, signers[made])
    request = UnsignedRequest(method="GET", path="/b/k", bucket="b", key="k", query={}, headers={"host": "h"})
    early, late = signer.sign(request, NOW_NS), signer.sign(request, NOW_NS + HOUR_NS)
    assert ("STS.1" in early["authorization"], early[header]) == (True, "t1")
    assert ("STS.2" in late["authorization"], late[header]) == (True, "t2")
    steady = signers[made](renewing.at(NOW_NS + HOUR_NS))
    assert late == steady.sign(request, NOW_NS + HOUR_NS)
    assert SECRET not in repr(signer) + repr(renewing) + repr(vars(renewing)) + repr(vars(signer))


# -------------------------------------------------------------------------------------------------------------- sources


def written(path: Path, number: int, *, mode: int = 0o600) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"AccessKeyId": f"STS.{number}", "AccessKeySecret": SECRET, "SecurityToken": "t"}))
    new.chmod(mode)
    new.replace(path)


def test_a_file_is_read_again_when_it_is_another(tmp_path: Path) -> None:
    path = tmp_path / "role.json"
    written(path, 1)
    renewing = Renewing(FileSource(path))
    first = renewing.at(NOW_NS)
    written(path, 2)
    assert renewing.at(NOW_NS + SECOND_NS - 1) is first
    second = renewing.at(NOW_NS + SECOND_NS)
    assert second.access_key_id == "STS.2"
    assert renewing.at(NOW_NS + 2 * SECOND_NS) is second
    path.write_text("half a docu")
    assert renewing.at(NOW_NS + 3 * SECOND_NS) is second  # they have told no end: they hold


@pytest.mark.parametrize(("mode", "reason"), [(0o604, "others may read it"), (None, "cannot be read")])
def test_a_file_that_is_missing_or_shows_its_secrets_is_refused(tmp_path: Path, mode: int | None, reason: str) -> None:
    path = tmp_path / "role.json"
    if mode is not None:
        written(path, 1, mode=mode)
    with pytest.raises(PermissionDeniedError, match=reason) as caught:
        Renewing(FileSource(path)).at(NOW_NS)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path: Path) -> None:
    path = tmp_path / "role.json"
    os.mkfifo(path, 0o600)
    with pytest.raises(PermissionDeniedError, match="it is no regular file") as caught:
        FileSource(path).fetch()
    assert str(path) in str(caught.value)


BUCKET = registered_bucket("bucket")


def test_each_word_names_its_place(tmp_path: Path) -> None:
    environment = {
        "OSS_ACCESS_KEY_ID": "o", "OSS_ACCESS_KEY_SECRET": SECRET, "OSS_SESSION_TOKEN": "t",
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": "x",
    }  # fmt: skip
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(f'[bucket.bucket]\naccess_key_id = "kept"\naccess_key_secret = "{SECRET}"\n')
    keychain = Keychain(secrets, passed_on(environment))
    assert "HOME" not in passed_on(environment)
    kept = keychain.of(BUCKET)
    assert isinstance(kept, Credentials)
    assert kept.access_key_id == "kept"
    of_oss = keychain.of(replace(BUCKET, credentials="environment"))
    of_s3 = keychain.of(replace(BUCKET, kind=BucketKind.S3, credentials="environment"))
    assert of_oss == Credentials(access_key_id="o", access_key_secret=SECRET, security_token="t")
    assert of_s3 == Credentials(access_key_id="a", access_key_secret=SECRET)
    role = replace(BUCKET, credentials="http://127.0.0.1:1/role")
    assert keychain.of(role) is keychain.of(replace(role, name="other"))  # one source serves both
    assert isinstance(keychain.of(replace(BUCKET, credentials=str(tmp_path / "role.json"))), Renewing)
    with pytest.raises(PermissionDeniedError, match="OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"):
        Keychain(secrets, {}).of(replace(BUCKET, credentials="environment"))
