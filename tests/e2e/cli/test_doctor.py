"""Does `penstock doctor` find what is broken, name the command that mends it, come to an end, and leave nothing behind?"""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.app.registering import Check
from penstock.model import BucketKind
from tests.fixtures.deaddisk import dead_disk
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.ports import free_port
from tests.fixtures.service import (
    WARM,
    RunningService,
    add_bucket,
    add_file_system,
    run_cli,
    start_service,
    try_cli,
    without_own_bucket,
)
from tests.fixtures.silentproxy import SilentProxy

BOUND_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What doctor found."""

    code: int
    findings: list[dict[str, Any]]

    def of(self, about: str, *grades: str) -> list[str]:
        """What was said about that, in these grades, with what mends it."""
        wanted = grades or ("ok", "warning", "problem")
        found = [each for each in self.findings if each["about"].startswith(about) and each["grade"] in wanted]
        return [f"{each['words']} | {each['mend']}" for each in found]

    def bad(self) -> list[str]:
        return [f"{each['about']}: {each['words']}" for each in self.findings if each["grade"] != "ok"]


def doctor(*arguments: str, environment: dict[str, str] | None = None, code: int | None = None) -> Verdict:
    done = try_cli("doctor", *arguments, "--json", environment=environment, timeout_s=BOUND_S)
    assert done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    verdict = Verdict(code=done.returncode, findings=told["findings"])
    assert verdict.code == (1 if told["worst"] == "problem" else 0)
    assert code is None or verdict.code == code, verdict.findings
    return verdict


def changed(home: Path, *lines: tuple[str, str]) -> None:
    """penstock.toml with other settings."""
    settings = home / "penstock.toml"
    text = settings.read_text()
    for name, value in lines:
        text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
    settings.write_text(text)


def left_probes(home: Path, buckets: Sequence[str] = ("examplebucket",)) -> list[str]:
    found = [str(path) for path in home.rglob(".penstock-probe-*")]
    return found + [line for name in buckets for line in run_cli("object", "ls", str(home), name).splitlines()[1:]]


def test_a_served_home_is_well_and_nothing_is_left_of_the_look(service: RunningService) -> None:
    found = doctor(str(service.home), code=0)
    assert found.bad() == []
    for about in ("HOME", "settings", "disk of HOME", "limits", "service", "catalog", "file system", "bucket"):
        assert found.of(about, "ok"), about
    assert left_probes(service.home) == []
    shown = try_cli("doctor", str(service.home))
    assert (shown.returncode, shown.stdout.count("\nok ") + 1) == (0, len(found.findings))
    assert try_cli("doctor", str(service.home), "--quiet").stdout == ""


def test_a_service_is_looked_at_from_outside(service: RunningService) -> None:
    outright = {
        "PENSTOCK_ENDPOINT": service.api,
        "PENSTOCK_ACCESS_KEY_ID": service.init["access_key_id"],
        "PENSTOCK_ACCESS_KEY_SECRET": service.init["access_key_secret"],
    }
    found = doctor(environment=outright, code=0)
    assert service.init["file_system_id"] in found.of("access key", "ok")[0]
    wrong = doctor(environment={**outright, "PENSTOCK_ACCESS_KEY_SECRET": "wrong"}, code=1)
    assert "SignatureDoesNotMatch" in wrong.of("access key", "problem")[0]
    nobody = doctor("--endpoint", f"http://127.0.0.1:{free_port()}", environment=outright, code=1)
    assert "Connection refused" in nobody.of("endpoint", "problem")[0]
    assert "which service?" in try_cli("doctor").stderr


def test_what_is_wrong_with_home_is_said_with_what_mends_it(home: Path) -> None:
    os.chmod(home, 0o755)
    (home / "secrets.toml").chmod(0o640)
    (home / ".penstock.toml.12345.new").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        changed(home, ("port", str(port)), ("listen", '"0.0.0.0"'))
        found = doctor(str(home), code=1)
    assert any(f"chmod 700 {home}" in words for words in found.of("HOME", "warning"))
    assert any(f"chmod 600 {home}/secrets.toml" in words for words in found.of("HOME", "problem"))
    assert any("killed" in words for words in found.of("HOME", "warning"))
    assert "secrets.toml holds secrets" in found.of("settings", "problem")[0]
    (home / "secrets.toml").chmod(0o600)
    with socket.create_server(("0.0.0.0", port)):
        found = doctor(str(home), code=1)
    assert f"penstock serve {home}" in found.of("service", "warning")[0]
    assert f"{port} (port)" in found.of("ports", "problem")[0]
    assert "without TLS" in found.of("settings", "warning")[0]
    changed(home, ("movers", "0"))
    assert "movers = 0 is not allowed" in doctor(str(home), code=1).of("settings", "problem")[0]


def test_a_catalog_that_is_damaged_or_newer_is_a_problem(home: Path) -> None:
    without_own_bucket(home, movers=1)
    start_service(home, command=WARM).stop()
    catalog = home / "catalog.db"
    with closing(sqlite3.connect(catalog)) as raw, raw:
        raw.execute("INSERT INTO schema_versions VALUES (999)")
    assert "newer Penstock" in doctor(str(home), code=1).of("catalog", "problem")[0]
    whole = catalog.read_bytes()
    catalog.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    assert "penstock restore" in doctor(str(home), code=1).of("catalog", "problem")[0]
    catalog.write_bytes(b"no database, and nothing like it" * 100)
    assert "cannot be read" in doctor(str(home), code=1).of("catalog", "problem")[0]


def test_what_hangs_is_given_up_and_everything_else_is_told(
    home: Path, tmp_path: Path, emulator: EmulatorServer
) -> None:
    without_own_bucket(home, movers=1)
    names = [emulator.bucket(), emulator.bucket()]
    (tmp_path / "hung").mkdir()
    with SilentProxy(emulator.endpoint) as proxy, dead_disk(tmp_path / "hung") as disk:
        for name, endpoint in zip(names, (emulator.endpoint, proxy.endpoint), strict=True):
            add_bucket(home, name, endpoint=endpoint, region=emulator.region, credentials=emulator.credentials)
        hung = add_file_system(home, tmp_path / "hung")
        proxy.fall_silent()
        disk.die()
        began_s = time.monotonic()
        try:
            found = doctor(str(home), code=1)
        finally:
            disk.live()
        assert time.monotonic() - began_s < BOUND_S
    assert "no answer within" in found.of(f"file system {hung}", "problem")[0]
    assert "no answer within" in found.of(f"bucket {names[1]}", "problem")[0]
    assert found.of(f"bucket {names[0]}", "ok")
    assert found.of("catalog", "ok")


def test_a_root_that_is_not_what_it_was_is_a_problem(home: Path, tmp_path: Path) -> None:
    without_own_bucket(home, movers=1)
    (tmp_path / "more").mkdir()
    other = add_file_system(home, tmp_path / "more")
    (tmp_path / "more/.penstock-root").unlink()
    old = home / "filesystem/.penstock-0123456789abcdef.partial"
    old.touch()
    os.utime(old, (1_700_000_000, 1_700_000_000))
    found = doctor(str(home), code=1)
    assert f"penstock filesystem confirm {home} {other}" in found.of(f"file system {other}", "problem")[0]
    (first,) = [words for words in found.of("file system", "warning") if "a week" in words]
    assert str(old) in first


@pytest.mark.parametrize("name", ["emulator", pytest.param("moto", marks=pytest.mark.xdist_group("moto"))])
def test_buckets_of_other_servers_are_tried_out(request: pytest.FixtureRequest, home: Path, name: str) -> None:
    without_own_bucket(home, movers=1)
    server = request.getfixturevalue(name)
    right, untagged = (
        (server.bucket(versioning="Enabled"), server.bucket(tags={}))
        if name == "emulator"
        else (server.make_bucket(tags={"cpfs-dataflow": "true"}, versioning="Enabled"), server.make_bucket(tags={}))
    )
    for bucket in (right, untagged):
        add_bucket(
            home,
            bucket,
            endpoint=server.endpoint,
            region=server.region,
            credentials=server.credentials,
            kind=BucketKind.OSS if name == "emulator" else BucketKind.S3,
            versioning_check=Check.OFF if bucket == right else Check.ON,
        )
    run_cli("object", "put", str(home), right, "-", ".penstock-probe-of-somebody", stdin=b"left")
    found = doctor(str(home))
    assert any("reads, writes and deletes" in words for words in found.of(f"bucket {right}", "ok"))
    (left,) = found.of(f"bucket {right}", "warning")
    assert f"penstock object rm {home} {right} .penstock-probe-of-somebody" in left
    said = found.of(f"bucket {untagged}", "warning")
    assert any("lacks the tag" in words and "bucket-tagging" in words.replace("put-bucket", "bucket") for words in said)
    assert any("no versioning" in words for words in said)
    secrets = home / "secrets.toml"
    secrets.write_text(re.sub(r'access_key_secret = ".*"', 'access_key_secret = "wrong"', secrets.read_text()))
    wrong = doctor(str(home))
    if name == "emulator":  # moto lets everybody in
        assert "rights" in wrong.of(f"bucket {right}", "problem")[0]
    assert server.credentials.access_key_secret not in str(found.findings) + str(wrong.findings)


def test_fewer_files_than_movers_need_are_a_problem(home: Path) -> None:
    import subprocess
    import sys

    from tests.fixtures.service import environment

    command = f"ulimit -n 300; exec {sys.executable} -P -m penstock.cli doctor {home} --json"
    done = subprocess.run(
        ["bash", "-c", command], env=environment(), capture_output=True, text=True, check=False, timeout=BOUND_S
    )
    found = Verdict(code=done.returncode, findings=json.loads(done.stdout)["findings"])
    assert "LimitNOFILE=" in found.of("limits", "problem")[0]
