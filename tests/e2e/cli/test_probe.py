"""Does `penstock bucket probe` find what a bucket's server does by now, and is nothing lost before an older bucket is probed?"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from penstock.app.registering import Check
from penstock.emulator.making import create_bucket
from penstock.model import BucketKind
from penstock.settings.reading import load_registry, open_home
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.s3server import S3Server
from tests.fixtures.service import WARM, RunningService, add_bucket, run_cli, start_service, try_cli
from tests.fixtures.waiting import wait_until

PATIENCE_S = 60.0
SINCE_LATER = ("content_md5", "checksum")
"""What the first versions did not try out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A bucket that is registered in `home`, and the abilities that were found then."""

    home: Path
    name: str
    abilities: dict[str, Any]

    def forget(self, *names: str) -> None:
        """As if a version had registered it that did not try these out; without names, none."""
        file = self.home / "penstock.toml"
        document = tomlkit.parse(file.read_text())
        entry: Any = document["bucket"]
        if not names:
            del entry[self.name]["abilities"]
        for name in names:
            del entry[self.name]["abilities"][name]
        file.write_text(document.as_string())

    def recorded(self) -> dict[str, Any]:
        return recorded(self.home, self.name)

    def probe(self) -> dict[str, Any]:
        printed = json.loads(run_cli("bucket", "probe", str(self.home), self.name, "--json"))
        assert printed["abilities"] == self.recorded()
        return {each["ability"]: (each["recorded"], each["found"]) for each in printed["differences"]}


def recorded(home: Path, name: str) -> dict[str, Any]:
    """What is in HOME's file, without a process for it."""
    return dict(load_registry(open_home(home)).buckets[name].abilities)


def listed(home: Path, name: str) -> dict[str, Any]:
    """What `penstock bucket list` says of it."""
    (found,) = [each for each in json.loads(run_cli("bucket", "list", str(home), "--json")) if each["name"] == name]
    return dict(found)


def register(home: Path, server: EmulatorServer | S3Server, name: str) -> Known:
    add_bucket(
        home,
        name,
        endpoint=server.endpoint,
        region=server.region,
        credentials=server.credentials,
        kind=BucketKind.OSS if isinstance(server, EmulatorServer) else BucketKind.S3,
        versioning_check=Check.OFF,
    )
    return Known(home=home, name=name, abilities=recorded(home, name))


@pytest.fixture(
    params=[
        "emulator",
        pytest.param("moto", marks=pytest.mark.xdist_group("moto")),
        pytest.param("ceph", marks=(pytest.mark.ceph, pytest.mark.xdist_group("ceph"))),
    ]
)
def known(request: pytest.FixtureRequest, home: Path) -> Known:
    """A bucket of each server."""
    server = request.getfixturevalue(request.param)
    return register(home, server, server.bucket() if request.param == "emulator" else server.make_bucket())


@pytest.mark.parametrize("names", [(), SINCE_LATER], ids=["all of it", "what came later"])
def test_what_an_earlier_version_registered_is_named_and_mended_by_the_command_that_is_told(
    known: Known, names: tuple[str, ...]
) -> None:
    known.forget(*names)
    # Where the store tells CRC-64, that is compared, and nothing follows from the two.
    tells_crc64 = known.abilities["crc64"]
    unknown = [] if names and tells_crc64 else list(names or known.abilities)
    if not names and not tells_crc64:
        assert set(SINCE_LATER) < set(unknown)
    assert sorted(listed(known.home, known.name)["untried"]) == sorted(unknown)
    said = try_cli("bucket", "list", str(known.home)).stderr
    assert (known.name in said) is bool(unknown)
    command = ["penstock", "bucket", "probe", str(known.home), known.name]
    if unknown:
        assert said.rstrip().endswith(shlex.join(command))
    printed = run_cli(*command[1:])
    assert [line.split()[0] for line in printed.splitlines()[1:]] == [
        name for name in known.abilities if not names or name in names
    ]
    assert "never tried out" in printed
    told = listed(known.home, known.name)
    assert told["abilities"] == known.recorded() == known.abilities
    assert told["untried"] == []
    again = try_cli("bucket", "probe", str(known.home), known.name)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing differs" in again.stderr


def test_what_has_changed_on_the_server_is_said_and_recorded_and_what_a_person_wrote_stays(
    home: Path, emulator: EmulatorServer
) -> None:
    known = register(home, emulator, emulator.bucket())
    file = home / "penstock.toml"
    file.write_text(file.read_text().replace("crc64 = true", "crc64 = true # so it was said"))
    before = file.read_text()
    assert known.probe() == {}
    assert file.read_text() == before
    create_bucket(emulator.root, known.name, tags={}, versioning="Enabled")
    done = try_cli("bucket", "probe", str(home), known.name)
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["ABILITY", "RECORDED", "FOUND"],
        ["create_only_put", "yes", "no"],
        ["create_only_complete", "yes", "no"],
        ["versioning", "Never", "Enabled"],
    ]
    assert "lacks the tag cpfs-dataflow=true" in done.stderr
    assert known.recorded() == {
        **known.abilities, "create_only_put": False, "create_only_complete": False, "versioning": "Enabled",
    }  # fmt: skip
    changed = dict(zip(before.splitlines(), file.read_text().splitlines(), strict=True))
    assert {old: new for old, new in changed.items() if old != new} == {
        "create_only_put = true": "create_only_put = false",
        "create_only_complete = true": "create_only_complete = false",
        'versioning = "Never"': 'versioning = "Enabled"',
    }


def test_abilities_that_cannot_be_read_are_mended(home: Path, emulator: EmulatorServer) -> None:
    known = register(home, emulator, emulator.bucket())
    file = home / "penstock.toml"
    file.write_text(file.read_text().replace('versioning = "Never"', 'versioning = "Sometimes"'))
    done = try_cli("object", "ls", str(home), known.name)
    assert done.returncode == 1
    assert "penstock bucket probe" in done.stderr
    assert known.probe() == {"versioning": ("Sometimes", "Never")}
    run_cli("object", "ls", str(home), known.name)


def test_what_cannot_be_tried_out_stays_as_it_is_recorded(home: Path, emulator: EmulatorServer) -> None:
    known = register(home, emulator, emulator.bucket())
    file = home / "secrets.toml"
    file.write_text(file.read_text().replace(emulator.access_key_secret, "another"))
    before = (home / "penstock.toml").read_bytes()
    done = try_cli("bucket", "probe", str(home), known.name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "SignatureDoesNotMatch" in done.stderr
    done = try_cli("bucket", "probe", str(home), f"{known.name}s")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"did you mean '{known.name}'" in done.stderr
    assert (home / "penstock.toml").read_bytes() == before


def test_an_embedded_bucket_is_probed_through_the_service_and_without_one(service: RunningService, home: Path) -> None:
    for place in (service.home, home):
        done = try_cli("bucket", "probe", str(place), "examplebucket")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "nothing differs" in done.stderr


# ------------------------------------------------------------------------------------------------------------ what moves


def export(service: RunningService, task: str, name: str) -> dict[str, Any]:
    """One small file, to its end."""
    (Path(service.init["root"]) / "out" / name).write_bytes(name.encode())
    printed = run_cli(
        "subtask", "create", task, name, "--wait", "--json", environment={"PENSTOCK_HOME": str(service.home)}
    )
    return dict(json.loads(printed))


def test_files_move_before_and_more_is_compared_as_soon_as_a_running_service_knows(home: Path, moto: S3Server) -> None:
    known = register(home, moto, moto.make_bucket())
    known.forget()
    service = start_service(home, command=WARM)
    try:
        assert f'mend="penstock bucket probe {home} {known.name}"' in service.log_text()
        assert service.log_text().count("WARNING bucket.untried") == 1
        (Path(service.init["root"]) / "out").mkdir()
        environment = {"PENSTOCK_HOME": str(home)}
        flow = run_cli("flow", "create", "/out/", f"s3://{known.name}/", environment=environment).strip()
        task = run_cli("task", "create", flow, "export", "--existing", "skip", environment=environment).strip()
        done = export(service, task, "before")
        assert (done["Status"], done["Record"]["Verification"]) == ("COMPLETE", "not compared")
        assert done["Record"]["Guarantee"] == "best effort"
        assert set(known.probe()) == set(known.abilities)

        def is_known() -> bool:
            record = export(service, task, f"after{len(list(Path(service.init['root'], 'out').iterdir()))}")["Record"]
            return (record["Guarantee"], record["Verification"]) == ("atomic", "md5")

        wait_until(is_known, PATIENCE_S, "the service did not see what was found")
    finally:
        service.stop()
