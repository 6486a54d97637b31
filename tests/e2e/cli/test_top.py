"""Does `top` show a service as it is, on a terminal and for machines, and say what it cannot?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fixtures.service import (
    COMMAND,
    WARM,
    RunningService,
    environment,
    init_home,
    run_cli,
    start_service,
    try_cli,
)
from tests.fixtures.terminal import Terminal

Place = Mapping[str, str]


@pytest.fixture
def place(service: RunningService) -> Place:
    """The environment that names the service."""
    return {"PENSTOCK_HOME": str(service.home)}


def test_it_is_printed_once_where_there_is_no_terminal(service: RunningService, place: Place) -> None:
    directory = Path(service.init["root"]) / "seen"
    directory.mkdir()
    (directory / "a").write_text("1")
    run_cli("export", str(directory / "a"), "--to", "oss://examplebucket/seen/", environment=place)
    try_cli("export", "fs:/seen/missing", environment=place)
    text = run_cli("top", environment=place)
    assert service.api in text.splitlines()[0]
    assert "/seen/ - oss://examplebucket/seen/" in text
    assert "1 finished 1 failed" in text
    assert "SourceNotFound" in text
    assert "limited by nothing: there is nothing to do" in text
    assert "movers well" in text
    told = json.loads(run_cli("top", "--once", "--json", environment=place))
    assert told["Ledger"]["Counts"]["Complete"] == 1
    narrowed = run_cli("top", "--file-system", service.init["file_system_id"], environment=place)
    assert "/seen/" in narrowed


@pytest.mark.parametrize("key", ["q", Terminal.CTRL_C])
def test_on_a_terminal_it_is_drawn_until_it_is_ended(service: RunningService, place: Place, key: str) -> None:
    with Terminal([*COMMAND, "top", "--every", "0.2"], environment(place)) as terminal:
        terminal.until("limited by", times=2)
        terminal.press(key)
        assert terminal.ended() == 0


def test_a_service_that_goes_away_is_said_to_be_and_one_that_tells_none_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home)
    settings = home / "penstock.toml"
    running = start_service(home, command=WARM)
    place = {"PENSTOCK_HOME": str(home)}
    with Terminal([*COMMAND, "top", "--every", "0.2"], environment(place)) as terminal:
        terminal.until("limited by")
        running.stop()
        terminal.until("connection lost, data as of")
        terminal.press("q")
        assert terminal.ended() == 0
    settings.write_text(settings.read_text().replace('fidelity = "lenient"', 'fidelity = "strict"'))
    strict = start_service(home, command=WARM)
    done = try_cli("top", environment=place)
    strict.stop()
    assert done.returncode == 1
    assert "this service tells no overview" in done.stderr
