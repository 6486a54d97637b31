"""Can time be made to pass, and can everything be forgotten, kept and brought back, with the same ids each time?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alibabacloud_nas20170626 import models as nas
from alibabacloud_nas20170626.client import Client
from darabonba.exceptions import DaraException

from penstock.app.making import Tls, make_home
from penstock.app.standin.homes import PREFIX, stand_in_home, throw_away_home
from penstock.app.standin.mark import Adoption, put_mark, refuse_stand_in
from penstock.errors import ApiRefusedError, SettingsError
from penstock.settings.home import Home
from penstock.testing import Service
from tests.e2e.sdk import Flow
from tests.fixtures.waiting import wait_until

DAY_S = 86_400
LONG_S = 30.0


def _flows(client: Client, penstock: Service) -> list[str]:
    request = nas.DescribeDataFlowsRequest(file_system_id=penstock.file_system_id)
    return [flow.data_flow_id for flow in client.describe_data_flows(request).body.data_flow_info.data_flow]


def _create(client: Client, penstock: Service, token: str) -> str:
    request = nas.CreateDataFlowRequest(
        file_system_id=penstock.file_system_id,
        file_system_path="/train/",
        source_storage=penstock.storage,
        source_storage_path="/run/",
        client_token=token,
    )
    return str(client.create_data_flow(request).body.data_flow_id)


def test_days_pass_at_once_and_what_is_old_is_forgotten(penstock: Service, exporting: Flow) -> None:
    old = exporting.move("/a.pt", "/a.pt")
    assert exporting.wait(old)["Status"] == "COMPLETE"
    penstock.hold_next()
    held = exporting.move("/a.pt", "/b.pt")
    assert penstock.advance(400 * DAY_S).advanced_s == 400 * DAY_S
    wait_until(lambda: list(exporting.items()) == [held], LONG_S, "what ended long ago is forgotten")
    penstock.remove()
    assert exporting.wait(held)["Status"] == "COMPLETE"


def test_a_client_token_is_forgotten_after_thirty_days(penstock: Service, client: Client) -> None:
    (penstock.root / "train").mkdir()
    first = _create(client, penstock, "token")
    assert _create(client, penstock, "token") == first
    penstock.advance(31 * DAY_S)

    def is_forgotten() -> bool:
        try:
            return _create(client, penstock, "token") != first
        except DaraException:
            return False  # it was forgotten between a look and its transaction

    wait_until(is_forgotten, LONG_S, "the token is forgotten")


@pytest.mark.parametrize("seconds", [-901, 901])
def test_signatures_are_refused_when_clocks_differ(penstock: Service, client: Client, seconds: int) -> None:
    penstock.skew(seconds)
    with pytest.raises(DaraException) as caught:
        _flows(client, penstock)
    assert caught.value.code == "InvalidTimeStamp.Expired"
    penstock.skew(0)
    assert _flows(client, penstock) == []


def test_time_stands_still(penstock: Service) -> None:
    frozen = penstock.freeze()
    assert frozen.is_frozen
    assert penstock.clock().now_ns == frozen.now_ns
    assert penstock.advance(60).now_ns == frozen.now_ns + 60 * 10**9
    assert penstock.thaw().now_ns < frozen.now_ns + 61 * 10**9
    assert not penstock.clock().is_frozen


def test_the_same_calls_get_the_same_ids(penstock: Service, client: Client, exporting: Flow) -> None:
    """Looking in between changes none of them, however often."""
    stories = []
    for looks in (1, 3):
        penstock.reset()
        (penstock.root / "train").mkdir()
        flow = _create(client, penstock, "")
        for _ in range(looks):
            assert _flows(client, penstock) == [flow]
        task = penstock.client.flow("/train/", f"{penstock.storage}/run/").export_stream().facts.task_id
        stories.append((flow, task, penstock.file_system_id))
    assert stories[0] == stories[1]
    assert exporting.data_flow_id == stories[0][0]
    now = datetime.fromtimestamp(penstock.clock().now_ns / 1e9, UTC)
    assert (now.year, now.month) == (2026, 1)


def test_a_reset_forgets_everything_in_no_time(penstock: Service, client: Client, exporting: Flow) -> None:
    penstock.hold_next()
    exporting.move("/a.pt", "/a.pt")
    penstock.put("left/over", b"1")
    penstock.refuse_next(count=0)
    penstock.skew(5000)
    outside = penstock.home.parent / "outside"
    outside.write_text("stays")
    began_s = time.monotonic()
    penstock.reset()
    assert time.monotonic() - began_s < 5.0
    assert _flows(client, penstock) == []
    assert penstock.keys() == []
    assert [path.name for path in penstock.root.iterdir() if not path.name.startswith(".penstock")] == []
    assert penstock.faults() == []
    assert penstock.clock().advanced_s == penstock.clock().skew_s == 0
    assert outside.read_text() == "stays"
    assert "service.is_a_stand_in" in penstock.log()


def test_a_state_is_kept_and_comes_back(penstock: Service, client: Client, exporting: Flow) -> None:
    done = exporting.move("/a.pt", "/a.pt")
    exporting.wait(done)
    penstock.advance(DAY_S)
    penstock.snapshot("with-one-file")
    exporting.wait(exporting.move("/a.pt", "/b.pt"))
    (penstock.root / "train" / "a.pt").write_bytes(b"other")
    for _ in range(2):
        penstock.restore("with-one-file")
        assert list(exporting.items()) == [done]
        assert penstock.keys() == ["run/a.pt"]
        assert (penstock.root / "train" / "a.pt").read_bytes() == b"weights"
        assert penstock.clock().advanced_s == DAY_S
        assert exporting.wait(exporting.move("/a.pt", "/c.pt"))["Status"] == "COMPLETE"
    with pytest.raises(ApiRefusedError, match="no such snapshot"):
        penstock.restore("another")


def test_nothing_is_kept_while_files_move(penstock: Service, exporting: Flow) -> None:
    penstock.hold_next()
    exporting.move("/a.pt", "/a.pt")
    with pytest.raises(ApiRefusedError, match="Files are moving"):
        penstock.snapshot("moving")


def test_a_home_is_one_kind_or_the_other(tmp_path: Path) -> None:
    """A stand-in serves none that is somebody's, and a service none that is a stand-in's."""
    home = make_home(tmp_path / "home", tls=Tls.NONE, now_ns=1, entropy=os.urandom).home
    with pytest.raises(SettingsError, match="is no stand-in's"):
        stand_in_home(home.path, adoption=Adoption.REFUSED, entropy=os.urandom)
    refuse_stand_in(home)
    assert stand_in_home(home.path, adoption=Adoption.ASKED_FOR, entropy=os.urandom) == home
    with pytest.raises(SettingsError, match="--stand-in"):
        refuse_stand_in(home)


def test_what_killed_stand_ins_have_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
    left, young, strange = (tmp_path / f"{PREFIX}{name}" for name in ("left", "young", "strange"))
    for directory in (left, young, strange):
        (directory / "home").mkdir(parents=True)
        if directory is not strange:
            put_mark(Home(path=directory / "home"))
        if directory is not young:
            os.utime(directory, (1, 1))
    with throw_away_home(os.urandom) as home:
        assert sorted(tmp_path.iterdir()) == sorted([young, strange, home.path.parent])
    assert sorted(tmp_path.iterdir()) == sorted([young, strange])


KILLED = """
import os, signal, sys
from penstock.testing import running
with running() as service:
    print(service.home, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_test_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    program = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=120, check=False)
    assert program.returncode == -signal.SIGKILL
    home = Path(program.stdout.strip())
    wait_until(lambda: not home.parent.exists(), LONG_S, "the stand-in has ended and removed its directory")
    serving = [pid for pid in os.listdir("/proc") if pid.isdecimal() and _is_about(pid, home)]
    assert serving == []


def _is_about(pid: str, home: Path) -> bool:
    try:
        return os.fsencode(home) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
