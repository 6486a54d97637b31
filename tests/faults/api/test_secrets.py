"""Does a secret show anywhere: in logs, answers, files, on the metrics page, in what /proc tells, or in what a crash leaves?

A served HOME does real work with failures of every kind, and then everything is searched for every secret that it has.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import alibabacloud_oss_v2 as oss
import pytest

from penstock.app.making import Tls
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError
from tests.e2e.cli.processes import descendants
from tests.fixtures.service import COMMAND, RunningService, init_home, run_cli, start_service, try_cli
from tests.fixtures.waiting import wait_until

CREDENTIALS = {
    "OSS_ACCESS_KEY_ID": "LTAI-of-the-bucket",
    "OSS_ACCESS_KEY_SECRET": "bucket/secret+with=signs0123456789",
}
BUCKET = """
[bucket.{name}]
kind = "oss"
endpoint = "{endpoint}"
region = "cn-hangzhou"
addressing_style = "path"
"""
CREDENTIALS_OF_IT = """
[bucket.{name}]
access_key_id = "{key}"
access_key_secret = "{name}/secret+with=signs0123456789"
"""
UNKNOWN_SECRET = "guessed-secret-of-a-caller-0123456789"
FAILING = """
import sys
from penstock.catalog.catalog import Catalog
async def broken(*asked, **named):
    raise RuntimeError("a defect")
Catalog.data_flows = broken
from penstock.cli.__main__ import main
sys.exit(main())
"""


def secrets_of(home: Path) -> dict[str, str]:
    """Every secret of HOME by where it stands: keys of the API, credentials of buckets, lines of private keys."""
    found: dict[str, str] = {"a caller's": UNKNOWN_SECRET}

    def walk(value: Any, place: str) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                walk(inner, f"{place}.{name}")
        elif isinstance(value, str) and "secret" in place.rpartition(".")[2]:
            found[place] = value

    walk(tomllib.loads((home / "secrets.toml").read_text()), "secrets.toml")
    for key in (home / "tls").glob("*.key"):
        body = [line for line in key.read_text().splitlines() if not line.startswith("-")]
        found |= {f"{key.name} line {number}": line for number, line in enumerate(body) if len(line) > 30}
    assert len(found) >= 4, "a key of the API, the embedded bucket's credentials, and another one's"
    return found


def shapes(secret: str) -> list[bytes]:
    """How it may be written."""
    raw = secret.encode()
    texts = [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        raw.hex(),
    ]
    return [*{text.encode() for text in texts}, base64.b64encode(raw)]


class Searched:
    """What is searched for secrets; remembers where one was."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._shapes = {place: shapes(secret) for place, secret in secrets.items()}
        self.found: list[str] = []
        self.searched = 0

    def look(self, where: str, what: bytes) -> None:
        self.searched += 1
        self.found += [
            f"the secret {place} is in {where}"
            for place, written in self._shapes.items()
            if any(shape in what for shape in written)
        ]

    def look_at_file(self, path: Path) -> None:
        if path.is_file() and not path.is_symlink():
            self.look(str(path), path.read_bytes())

    def look_at_processes(self, pids: set[int]) -> None:
        for pid in pids:
            for name in ("cmdline", "environ", "status", "comm"):
                try:
                    self.look(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes())
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has ended meanwhile


def is_kept_secret(home: Path, path: Path) -> bool:
    """The files that hold secrets by design: nobody else may read them."""
    return path == home / "secrets.toml" or path.suffix == ".key"


@pytest.fixture(params=["http", "https"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A HOME with a page of metrics, and a bucket whose store is not there."""
    home = tmp_path / "home"
    init_home(home, tls=Tls.LOCAL if request.param == "https" else Tls.NONE)
    settings = home / "penstock.toml"
    text = settings.read_text()
    assert 'metrics_listen = ""' in text
    settings.write_text(text.replace('metrics_listen = ""', 'metrics_listen = "127.0.0.1:0"'))
    register(home, "gone", endpoint="http://127.0.0.1:9", key="LTAI-of-gone")
    return home


def register(home: Path, name: str, *, endpoint: str, key: str) -> None:
    """A bucket that nobody has tried out."""
    with (home / "secrets.toml").open("a") as secrets:
        secrets.write(CREDENTIALS_OF_IT.format(name=name, key=key))
    with (home / "penstock.toml").open("a") as settings:
        settings.write(BUCKET.format(name=name, endpoint=endpoint))


def mistake(service: RunningService) -> None:
    """A bucket of the embedded server, whose key is registered with another secret."""
    kept = tomllib.loads((service.home / "secrets.toml").read_text())["bucket"]["examplebucket"]
    key = kept["access_key_id"]
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(key, kept["access_key_secret"])
    config.region, config.endpoint = "cn-hangzhou", service.oss
    oss.Client(config).put_bucket(oss.PutBucketRequest(bucket="mistaken"))
    register(service.home, "mistaken", endpoint=service.oss, key=key)
    wait_until(lambda: "buckets=3" in service.log_text(), 30, "the bucket was not seen")


def caller(service: RunningService, **changes: Any) -> Client:
    options = ClientOptions(
        endpoint=service.api,
        access_key_id=service.init["access_key_id"],
        access_key_secret=service.init["access_key_secret"],
        ca_file=json.loads((service.home / "service.json").read_text()).get("ca_file", ""),
    )
    return Client(replace(options, **changes))


def answered(client: Client, action: str, parameters: Mapping[str, Any]) -> bytes:
    """The answer, whatever it is."""
    try:
        return json.dumps(client.call(action, parameters)).encode()
    except ApiRefusedError as error:
        return f"{error.code} {error} {error.hint}".encode()


def movers_of(service: RunningService) -> set[int]:
    """Processes that move bytes: those of ours that do not serve the embedded bucket."""
    return {
        pid
        for pid in descendants(service.pid)
        if b"mover" in Path(f"/proc/{pid}/cmdline").read_bytes()
        or b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def work(service: RunningService, searched: Searched) -> None:
    """Files that arrive and files that cannot, callers who guess, movers that die."""
    root = Path(service.init["root"])
    (root / "data").mkdir()
    (root / "data" / "file").write_bytes(b"file" * 1000)
    (root / "away").mkdir()
    ids = {"FileSystemId": service.init["file_system_id"]}
    with caller(service) as good, caller(service, access_key_secret=UNKNOWN_SECRET) as guessing:
        flow = good.call(
            "CreateDataFlow",
            {**ids, "FileSystemPath": "/data/", "SourceStorage": "oss://examplebucket", "SourceStoragePath": "/d/"},
        )
        flow_ids = {**ids, "DataFlowId": flow["DataFlowId"]}
        for action in ("StreamExport", "StreamImport"):
            task = good.call(
                "CreateDataFlowTask", {**flow_ids, "TaskAction": action, "ConflictPolicy": "OVERWRITE_EXISTING"}
            )
            stream = {**flow_ids, "DataFlowTaskId": task["TaskId"]}
            for number, source in enumerate(("/file", "/missing")):
                made = good.call(
                    "CreateDataFlowSubTask", {**stream, "SrcFilePath": source, "DstFilePath": f"/to-{number}"}
                )
                wait_until(partial(ended, good, ids, made["DataFlowSubTaskId"]), 60, f"{source} did not end")
            for victim, number in zip(sorted(movers_of(service)), (signal.SIGKILL, signal.SIGABRT), strict=False):
                os.kill(victim, number)
        asked: list[tuple[str, dict[str, Any]]] = [
            ("DescribeDataFlowSubTasks", ids),
            ("DescribeDataFlows", ids),
            (
                "CreateDataFlow",
                {**ids, "FileSystemPath": "/away/", "SourceStorage": "oss://gone", "SourceStoragePath": "/"},
            ),
            (
                "CreateDataFlow",
                {**ids, "FileSystemPath": "/away/", "SourceStorage": "oss://mistaken", "SourceStoragePath": "/"},
            ),
            ("DescribeNothing", ids),
        ]
        for action, parameters in asked:
            answer = answered(good, action, parameters)
            searched.look(f"the answer to {action}", answer)
            if parameters.get("SourceStorage") == "oss://mistaken":
                assert b"InvalidSourceStorage.PermissionDenied" in answer, "the store was to refuse the signature"
            searched.look(f"the refusal of {action}", answered(guessing, action, parameters))
    wait_until(lambda: len(movers_of(service)) >= 2, 60, "movers did not come up again")


def ended(client: Client, ids: Mapping[str, str], sub_task_id: str) -> bool:
    filters = [{"Key": "DataFlowSubTaskIds", "Value": sub_task_id}]
    page = client.call("DescribeDataFlowSubTasks", {**ids, "Filters": filters})
    return page["DataFlowSubTask"]["DataFlowSubTask"][0]["Status"] in {"COMPLETE", "FAILED"}


def search(service: RunningService, searched: Searched) -> None:
    """Everything there is."""
    searched.look("the log", service.log.read_bytes())
    searched.look_at_processes({service.pid, *descendants(service.pid)})
    ready = json.loads((service.home / "service.json").read_text())
    with urllib.request.urlopen(ready["metrics"], timeout=30) as page:
        searched.look("the page of metrics", page.read())
    for path in service.home.rglob("*"):
        if is_kept_secret(service.home, path):
            assert path.stat().st_mode & 0o077 == 0, f"{path} may be read by others"
        else:
            searched.look_at_file(path)
    for path in service.home.parent.glob("*"):
        if path.suffix != ".json":  # what `init --json` printed: the key that it made, once
            searched.look_at_file(path)


def test_the_search_finds_what_is_there(home: Path) -> None:
    """In each shape in which it may be written."""
    secrets = secrets_of(home)
    searched = Searched(secrets)
    searched.look_at_file(home / "secrets.toml")
    assert len(searched.found) == len([place for place in secrets if place.startswith("secrets.toml")])
    for secret in secrets.values():
        for shape in shapes(secret):
            again = Searched({"this one": secret})
            again.look("a line", b"before " + shape + b" after")
            assert again.found


@contextmanager
def core_files() -> Iterator[None]:
    """Let processes leave them, as far as this machine permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.timeout(400)
def test_no_secret_shows_in_what_a_service_leaves_behind(home: Path) -> None:
    with core_files():
        service = start_service(home)
        try:
            run_cli("key", "add", str(home), "--allow", "nas:Describe*")
            mistake(service)
            searched = Searched(secrets_of(home) | {"of a bucket": CREDENTIALS["OSS_ACCESS_KEY_SECRET"]})
            for endpoint in ("http://127.0.0.1:9", service.oss):
                added = ("bucket", "add", str(home), "new", "--kind", "oss", "--endpoint", endpoint, "--region", "x")
                refused = try_cli(*added, environment=CREDENTIALS)
                assert refused.returncode != 0
                searched.look("the output of a command", (refused.stdout + refused.stderr).encode())
            work(service, searched)
            for command in (["key", "list"], ["bucket", "list"], ["filesystem", "list"]):
                said = try_cli(*command, str(home))
                assert said.returncode == 0
                searched.look(" ".join(command), (said.stdout + said.stderr).encode())
            search(service, searched)
        finally:
            service.stop()
        searched.look("the log at the end", service.log.read_bytes())
    assert "exit code -6" in service.log_text() or "SIGABRT" in service.log_text(), "a mover was to crash"
    assert searched.found == []
    assert searched.searched > 30
    left = [
        path for path in [*home.rglob("core*"), *home.parent.glob("core*"), *Path.cwd().glob("core*")] if path.is_file()
    ]
    assert left == [], "a core file holds what the process held"


@pytest.mark.timeout(400)
def test_no_secret_shows_in_what_a_defect_leaves_in_the_log(home: Path) -> None:
    service = start_service(home, command=(COMMAND[0], "-P", "-c", FAILING))
    try:
        searched = Searched(secrets_of(home))
        with caller(service) as client:
            told = answered(client, "DescribeDataFlows", {"FileSystemId": service.init["file_system_id"]})
        assert b"InternalError" in told
        searched.look("the answer", told)
    finally:
        service.stop()
    assert "a defect" in service.log_text()
    assert "frames=" in service.log_text()
    searched.look("the log", service.log.read_bytes())
    assert searched.found == []


BROKEN = [
    lambda text: text.replace('"\n', "\n", 1),
    lambda text: text.replace("=", "", 1),
    lambda text: text.replace('secret = "', 'secret = ["', 1),
    lambda text: text.replace('secret = "', 'secret = "\\z', 1),
    lambda text: text + "\n" + text,
    lambda text: text.replace("access_key", "acces_key"),
    lambda text: text.replace('secret = "', 'secrets = "'),
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("home", ["http"], indirect=True)
@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_no_secret_shows_in_what_is_said_of_a_damaged_secret_file(home: Path, number: int) -> None:
    """Neither by a command, nor by a service that starts with it or that sees it while it runs."""
    file = home / "secrets.toml"
    searched = Searched(secrets_of(home))
    text = file.read_text()
    broken = BROKEN[number](text)
    assert broken != text
    service = start_service(home) if number == 0 else None
    try:
        file.write_text(broken)
        if service is not None:
            wait_until(lambda: "registry.kept_as_it_was" in service.log_text(), 30, "the damage was not seen")
            searched.look("the log", service.log.read_bytes())
    finally:
        if service is not None:
            service.stop()
    for command in (["key", "list", str(home)], ["serve", str(home), "--port", "0", "--emulator-port", "0"]):
        try:
            said = try_cli(*command, timeout_s=5)
        except subprocess.TimeoutExpired as served:  # it can be read after all
            searched.look(command[0], (served.stdout or b"") + (served.stderr or b""))
            continue
        searched.look(command[0], (said.stdout + said.stderr).encode())
    assert searched.found == []
