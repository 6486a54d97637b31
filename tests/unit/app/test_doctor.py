"""Are looks bounded and told in order, and is what a bucket's key pair may not do, or its clock does, seen?"""

from __future__ import annotations

import errno
import os
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from penstock.app.doctor.configuration import look_at_certificate
from penstock.app.doctor.examining import Look, Progress, examine
from penstock.app.doctor.findings import Finding, Grade, is_at_least, ok, problem, warning, worst
from penstock.app.doctor.greeting import greet
from penstock.app.doctor.machine import look_at_disk, look_at_limits
from penstock.app.doctor.standing import look_at_catalog_file
from penstock.app.doctor.stores import SKEW_TOO_MUCH_S, clock, look_at_store
from penstock.catalog.sqlite import NONCES_NAME
from penstock.errors import PermissionDeniedError, SettingsError
from penstock.settings.choices import Settings
from penstock.settings.home import Home
from penstock.stores.base import Abilities, Versioning
from tests.fixtures.memorystore import Fault, MemoryStore, Raise
from tests.fixtures.registered import registered_bucket
from tests.fixtures.scriptedserver import ScriptedServer, answer, saying

DENIED = Raise(PermissionDeniedError("denied"))
ALL = Abilities(crc64=True, part_etag_is_md5=True, bucket_tags=True, versioning=Versioning.ENABLED)


def told(looks: list[Look]) -> list[Finding]:
    seen: list[Progress] = []
    found = [finding for findings in examine(looks, on_progress=seen.append) for finding in findings]
    assert seen[-1].done == seen[-1].total == len(looks)
    return found


def test_what_hangs_is_given_up_and_told_in_its_place() -> None:
    forever = threading.Event()

    def hang() -> list[Finding]:
        forever.wait()
        return [ok("b", "never told")]

    def refuse() -> list[Finding]:
        raise SettingsError("mend it")

    looks = [
        Look(about="a", look=lambda: [ok("a", "well")], limit_s=5),
        Look(about="b", look=hang, limit_s=0.1, hangs="do something"),
        Look(about="c", look=refuse, limit_s=5),
    ]
    found = told(looks)
    forever.set()
    assert [(each.about, each.grade) for each in found] == [
        ("a", Grade.OK),
        ("b", Grade.PROBLEM),
        ("c", Grade.PROBLEM),
    ]
    assert found[1].mend == "do something"
    assert found[2].words == "mend it"


def test_a_defect_in_a_look_is_not_told_as_a_finding() -> None:
    def fail() -> list[Finding]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        told([Look(about="a", look=fail, limit_s=5)])


def test_more_looks_than_at_once_are_all_taken() -> None:
    looks = [Look(about=str(number), look=list, limit_s=5) for number in range(50)]
    assert told(looks) == []


def test_grades_are_in_order() -> None:
    assert worst([]) is Grade.OK
    assert worst([ok("", ""), problem("", ""), warning("", "")]) is Grade.PROBLEM
    assert is_at_least(Grade.PROBLEM, Grade.WARNING)
    assert not is_at_least(Grade.OK, Grade.WARNING)


def looked(store: MemoryStore) -> list[Finding]:
    home = Home(path=Path("/nonexistent"))
    return list(look_at_store(home, "bucket b", registered_bucket("b"), store))


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("put", "may not write"),
        ("get", "may not read"),
        ("delete", "may not delete"),
    ],
)
def test_a_right_that_is_missing_is_named(verb: str, words: str) -> None:
    store = MemoryStore(abilities=ALL)
    store.script(*[Fault(verb, action=DENIED)] * 9)
    found = [each for each in looked(store) if each.grade is Grade.PROBLEM]
    assert any(words in each.words for each in found), found
    assert all(each.mend for each in found)


def test_a_bucket_that_is_well_is_left_as_it_was() -> None:
    store = MemoryStore(abilities=ALL)
    assert {each.grade for each in looked(store)} == {Grade.OK, Grade.WARNING}  # it has no tag
    assert (store.keys(), list(store.list_versions(prefix="")), store.unfinished()) == ([], [], [])


@pytest.mark.parametrize(("skew_s", "grade"), [(0, None), (-300, Grade.WARNING), (SKEW_TOO_MUCH_S + 60, Grade.PROBLEM)])
def test_a_clock_that_differs_is_seen_by_its_date(skew_s: float, grade: Grade | None) -> None:
    date = formatdate(time.time() + skew_s, usegmt=True)
    with ScriptedServer(saying(answer("403 Forbidden", date=date))) as server:
        found = list(clock("x", greet(server.endpoint)))
    assert [each.grade for each in found] == [grade] * (grade is not None)


def test_nothing_is_greeted_where_nobody_is() -> None:
    assert greet("http://127.0.0.1:1").trouble
    with pytest.raises(SettingsError, match="cannot be used"):
        greet("https://127.0.0.1:1", ca_file="/nonexistent.pem")


def test_few_watches_are_named_with_the_command_for_more(tmp_path: Path) -> None:
    file = tmp_path / "sys/fs/inotify/max_user_watches"
    file.parent.mkdir(parents=True)
    file.write_text("8192\n")
    (found,) = [each for each in look_at_limits(Settings(), tmp_path) if "inotify" in each.words]
    assert (found.grade, found.mend) == (Grade.WARNING, "sysctl -w fs.inotify.max_user_watches=524288")


def test_a_certificate_that_is_missing_and_a_disk_that_takes_nothing_are_told_with_what_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "penstock.toml").write_text('tls_certificate = "no.pem"\ntls_key = "no.key"\n')
    home = Home(path=tmp_path)
    (certificate,) = look_at_certificate(home)
    assert (certificate.grade, "openssl x509" in certificate.mend) == (Grade.PROBLEM, True)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "write", refuse)
    (disk,) = [each for each in look_at_disk(home) if each.grade is Grade.PROBLEM]
    assert ("Read-only" in disk.words, "findmnt" in disk.mend) == (True, True)
    assert not list(tmp_path.glob(".penstock-probe-*"))


def test_a_catalog_that_was_lost_is_not_taken_for_a_new_home(tmp_path: Path) -> None:
    home = Home(path=tmp_path)
    (new,) = look_at_catalog_file(home)
    (tmp_path / NONCES_NAME).write_bytes(b"x")
    (lost,) = look_at_catalog_file(home)
    assert (new.grade, lost.grade, "penstock restore" in lost.mend) == (Grade.OK, Grade.PROBLEM, True)
