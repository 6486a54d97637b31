"""Does a served HOME reach buckets as production has them: credentials from elsewhere that change, and what exports are given?"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from click.testing import CliRunner

from penstock.cli.buckets import bucket
from penstock.transfer.verification import UNREADABLE
from tests.faults.stores.conftest import certificate, tls
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import ChaosProxy, Rule
from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.fixtures.service import RunningService, init_home, run_cli, start_service, try_cli
from tests.fixtures.tlsrelay import tls_before
from tests.fixtures.waiting import wait_until

__all__ = ["certificate", "tls"]

PATIENCE_S = 60.0


def write_role(path: Path, key_id: str, secret: str, token: str) -> None:
    """The document of a role, put in the place of the one before."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    told = {"AccessKeyId": key_id, "AccessKeySecret": secret, "Expiration": "2999-01-01T00:00:00Z"}
    new.write_text(json.dumps({**told, "SecurityToken": token}))
    new.replace(path)


def add_bucket(home: Path, emulator: EmulatorServer, *options: str, environment: dict[str, str]) -> str:
    name = emulator.bucket(versioning="Enabled")
    place = ("--kind", "oss", "--endpoint", emulator.endpoint, "--region", emulator.region)
    assert (
        run_cli("bucket", "add", str(home), name, *place, *options, environment=environment).strip() == f"oss://{name}"
    )
    return name


def vendors_client(emulator: EmulatorServer) -> oss.Client:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        emulator.access_key_id, emulator.access_key_secret
    )
    config.region, config.endpoint = emulator.region, emulator.endpoint
    return oss.Client(config)


def make_stream(service: RunningService, bucket: str) -> str:
    (Path(service.init["root"]) / bucket).mkdir()
    environment = {"PENSTOCK_HOME": str(service.home)}
    flow = run_cli("flow", "create", f"/{bucket}/", f"oss://{bucket}/", environment=environment).strip()
    return run_cli("task", "create", flow, "export", environment=environment).strip()


def export(service: RunningService, task: str, bucket: str, name: str, *options: str) -> Any:
    (Path(service.init["root"]) / bucket / name).write_bytes(name.encode())
    environment = {"PENSTOCK_HOME": str(service.home)}
    return json.loads(run_cli("subtask", "create", task, name, *options, "--json", environment=environment))


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorServer]:
    """One of its own: `assume` gives it temporary keys."""
    server = start_emulator(tmp_path / "oss")
    yield server
    server.stop()


def assume(emulator: EmulatorServer, role: Path, number: int) -> str:
    """Another temporary key for the role, and no other any more; its secret."""
    keys = emulator.root.with_name(f"{emulator.root.name}.keys")
    lasting = keys.read_text().splitlines()[0]
    secret = f"secret-of-role-{number}"
    keys.write_text(f"{lasting}\nSTS.{number} {secret} token-of-role-{number}\n")
    write_role(role, f"STS.{number}", secret, f"token-of-role-{number}")
    return secret


def test_credentials_from_elsewhere_serve_and_may_change(tmp_path: Path, emulator: EmulatorServer) -> None:
    home, role = tmp_path / "home", tmp_path / "role.json"
    init_home(home)
    assume(emulator, role, 1)
    known = {"OSS_ACCESS_KEY_ID": emulator.access_key_id, "OSS_ACCESS_KEY_SECRET": emulator.access_key_secret}
    by_environment = add_bucket(home, emulator, "--credentials", "environment", environment=known)
    by_file = add_bucket(
        home, emulator, "--credentials", str(role), "--storage-class", "IA", "--verify", "read-back", environment={}
    )
    service = start_service(home, environment=known)
    try:
        done = export(service, make_stream(service, by_environment), by_environment, "a", "--wait")
        assert (done["Status"], done["Record"]["Verification"]) == ("COMPLETE", "crc64")
        task = make_stream(service, by_file)
        done = export(service, task, by_file, "b", "--wait")
        assert (done["Status"], done["Record"]["Verification"]) == ("COMPLETE", "read-back")
        assert (
            vendors_client(emulator).head_object(oss.HeadObjectRequest(bucket=by_file, key="b")).storage_class == "IA"
        )
        assume(emulator, role, 2)
        wait_until(lambda: moves(service, task, by_file), PATIENCE_S, "the new credentials were not taken up")
        written = service.log_text() + (home / "secrets.toml").read_text() + (home / "penstock.toml").read_text()
        assert not any(secret in written for secret in (emulator.access_key_secret, "secret-of-role", "token-of-role"))
    finally:
        service.stop()


def moves(service: RunningService, task: str, bucket: str) -> bool:
    """Whether a file is moved soon; one that was tried in the second before the file was looked at again waits for a minute."""
    name = f"c{time.monotonic_ns()}"
    made = export(service, task, bucket, name)["DataFlowSubTaskId"]
    environment = {"PENSTOCK_HOME": str(service.home)}

    def said() -> Any:
        item = json.loads(run_cli("subtask", "show", made, "--json", environment=environment))
        return item if item["Status"] == "COMPLETE" or item["ErrorMsg"] else None

    item = wait_until(said, PATIENCE_S, "it was neither moved nor refused")
    return bool(item["Status"] == "COMPLETE")


def trusting(certificate: Path, found_by: str, tmp_path: Path) -> dict[str, str]:
    """The environment that has OpenSSL trust it."""
    if found_by == "a file":
        return {"SSL_CERT_FILE": str(certificate)}
    if found_by == "a relative path":
        return {"SSL_CERT_FILE": os.path.relpath(certificate)}
    hashed = tmp_path / "cas"
    hashed.mkdir()
    told = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", certificate], capture_output=True, text=True, check=True
    )
    (hashed / f"{told.stdout.strip()}.0").symlink_to(certificate)
    return {"SSL_CERT_DIR": f"{tmp_path / 'none'}:{hashed}"}


@pytest.mark.anyio
@pytest.mark.parametrize("found_by", ["a file", "a directory", "a relative path"])
async def test_a_private_ca_of_the_environment_is_trusted_by_all_of_penstock(
    tmp_path: Path, emulator: EmulatorServer, tls: ssl.SSLContext, certificate: Path, found_by: str
) -> None:
    """By `bucket add`, by the service, and by its movers, which do the work."""
    home = tmp_path / "home"
    init_home(home)
    keys = {"OSS_ACCESS_KEY_ID": emulator.access_key_id, "OSS_ACCESS_KEY_SECRET": emulator.access_key_secret}
    trust = trusting(certificate, found_by, tmp_path)
    name = emulator.bucket(versioning="Enabled")

    def through(endpoint: str) -> Any:
        place = ("--kind", "oss", "--endpoint", endpoint, "--region", emulator.region)
        run_cli("bucket", "add", str(home), name, *place, environment=keys | trust)
        service = start_service(home, environment=trust)
        try:
            return export(service, make_stream(service, name), name, "a", "--wait")
        finally:
            service.stop()

    async with tls_before(emulator.endpoint, tls) as endpoint:
        refused = await asyncio.to_thread(
            try_cli, "bucket", "add", str(home), name, "--kind", "oss", "--endpoint", endpoint,
            "--region", emulator.region, environment=keys,
        )  # fmt: skip
        assert "not trusted" in refused.stderr
        done = await asyncio.to_thread(through, endpoint)
    assert (done["Status"], done["ErrorMsg"]) == ("COMPLETE", "")


def test_an_answer_that_is_lost_makes_no_failure_of_what_is_in_an_archive(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    """It was to be read back, and cannot be."""
    home, name = tmp_path / "home", emulator.bucket(versioning="Enabled")
    init_home(home)
    keys = {"OSS_ACCESS_KEY_ID": emulator.access_key_id, "OSS_ACCESS_KEY_SECRET": emulator.access_key_secret}
    with ChaosProxy(emulator.endpoint) as proxy:
        place = ("--kind", "oss", "--endpoint", proxy.endpoint, "--region", emulator.region)
        chosen = ("--storage-class", "Archive", "--verify", "read-back")
        run_cli("bucket", "add", str(home), name, *place, *chosen, environment=keys)
        service = start_service(home)
        try:
            task = make_stream(service, name)
            (Path(service.init["root"]) / name / "large").write_bytes(os.urandom(20 << 20))
            proxy.script(Rule(kind="complete", fault=FAULTS["lost by close"]))
            shown = run_cli(
                "subtask", "create", task, "large", "--wait", "--json", environment={"PENSTOCK_HOME": str(home)}
            )
        finally:
            service.stop()
        assert len(proxy.struck) == 1
    done = json.loads(shown)
    assert (done["Status"], done["ErrorMsg"]) == ("COMPLETE", "")
    assert done["Record"]["Verification"] == "crc64"
    assert done["Record"]["Note"] == UNREADABLE
    listed = vendors_client(emulator).list_object_versions(oss.ListObjectVersionsRequest(bucket=name))
    assert [(each.key, each.storage_class) for each in listed.version or []] == [("large", "Archive")]


def test_a_key_pair_that_ends_is_said_to(tmp_path: Path, emulator: EmulatorServer) -> None:
    home, role = tmp_path / "home", tmp_path / "role.json"
    init_home(home)
    secret = assume(emulator, role, 1)
    given = {"OSS_ACCESS_KEY_ID": "STS.1", "OSS_ACCESS_KEY_SECRET": secret, "OSS_SESSION_TOKEN": "token-of-role-1"}
    place = ("--kind", "oss", "--endpoint", emulator.endpoint, "--region", emulator.region)
    kept, renewed = (emulator.bucket(versioning="Enabled") for _ in range(2))
    done = try_cli("bucket", "add", str(home), kept, *place, environment=given)
    assert done.returncode == 0
    assert "has a session token, so it will expire" in done.stderr
    assert "token-of-role-1" not in done.stderr
    done = try_cli("bucket", "add", str(home), renewed, *place, "--credentials", "environment", environment=given)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_region_of_a_dual_stack_endpoint_signs(tmp_path: Path, emulator: EmulatorServer) -> None:
    """The emulator is the proxy, so that the service's own name leads to it; it lets in no other region."""
    home = tmp_path / "home"
    init_home(home)
    keys = {"OSS_ACCESS_KEY_ID": emulator.access_key_id, "OSS_ACCESS_KEY_SECRET": emulator.access_key_secret}
    place = ("--kind", "oss", "--proxy", emulator.endpoint)
    name, other = emulator.bucket(), emulator.bucket()
    run_cli(
        "bucket", "add", str(home), name, *place, "--endpoint", "http://cn-hangzhou.oss.aliyuncs.com", environment=keys
    )
    run_cli("object", "put", str(home), name, "-", "a//b", stdin=b"x")
    assert vendors_client(emulator).get_object(oss.GetObjectRequest(bucket=name, key="a//b")).body.content == b"x"
    found = {each["name"]: each for each in json.loads(run_cli("bucket", "list", str(home), "--json"))}
    assert (found[name]["region"], found[name]["addressing_style"]) == ("cn-hangzhou", "virtual")
    wrong = ("--endpoint", "http://cn-shanghai.oss.aliyuncs.com")
    done = CliRunner().invoke(bucket, ["add", str(home), other, *place, *wrong], env=keys)
    assert "signing region" in str(done.exception)
    assert "--region" in str(done.exception)


def test_what_cannot_work_is_refused_before_it_is_tried(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home)
    keys = {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": os.urandom(8).hex()}
    oss = "https://oss-cn-hangzhou.aliyuncs.com"
    for options, words in [
        (("--endpoint", oss, "--addressing", "path"), "refuses path style"),
        (("--endpoint", "https://mine.oss-cn-hangzhou.aliyuncs.com"), "without the bucket's name"),
        (("--endpoint", "https://oss-accelerate.aliyuncs.com"), "--region is missing"),
        (("--endpoint", oss, "--credentials", "ftp://role"), "--credentials"),
        (("--endpoint", oss, "--proxy", "http://user:word@127.0.0.1:1"), "--proxy"),
        (("--endpoint", oss, "--proxy", "http://127.0.0.1:1"), "through the proxy 127.0.0.1:1"),
    ]:
        done = CliRunner().invoke(bucket, ["add", str(home), "mine", "--kind", "oss", *options], env=keys)
        assert words in str(done.exception), options
        assert keys["OSS_ACCESS_KEY_SECRET"] not in str(done.exception)
