"""Does a service say that it lives, and when it is ready, and is its log as it was asked for, its children's too?"""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from penstock import __version__
from tests.e2e.cli.test_metrics import scraped
from tests.fixtures.ports import free_port, is_listening
from tests.fixtures.service import RunningService, start_service, try_cli
from tests.fixtures.site import Site
from tests.fixtures.waiting import wait_until

PATIENCE_S = 30.0


def asked(url: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def changed(home: Path, **settings: str) -> None:
    file = home / "penstock.toml"
    text = file.read_text()
    for name, value in settings.items():
        text, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert count == 1
    file.write_text(text)


def test_health_is_told_at_the_apis_port_without_a_key(service: RunningService) -> None:
    status, body = asked(f"{service.api}/healthz")
    told: dict[str, Any] = json.loads(body)
    assert (status, told["Status"], told["Reasons"]) == (200, "ok", [])
    assert told["RequestId"]
    wait_until(lambda: asked(f"{service.api}/readyz")[0] == 200, PATIENCE_S, "it is not ready")
    for path, method, code in (("/healthz", "POST", 404), ("/readyz/more", "GET", 404), ("/metrics", "GET", 404)):
        assert asked(f"{service.api}{path}", method)[0] == code


def test_metrics_tell_health_and_the_log_is_json_of_all_processes(home: Path) -> None:
    changed(home, metrics_listen='"127.0.0.1:0"', movers="1", log_format='"json"')
    service = start_service(home)
    try:
        page = json.loads((home / "service.json").read_text())["metrics"]
        beside = page.removesuffix("/metrics")
        wait_until(lambda: asked(f"{beside}/readyz")[0] == 200, PATIENCE_S, "it is not ready")
        numbers = scraped(page)
        assert (
            numbers["penstock_ready{}"]
            == numbers["penstock_movers_up{}"]
            == numbers["penstock_movers_configured{}"]
            == 1
        )
        assert numbers["penstock_queue_oldest_seconds{}"] == 0
        assert numbers["penstock_home_free_bytes{}"] > 1 << 20
        states = {name for name, number in numbers.items() if "_state{" in name and number == 1}
        assert {name.partition("{")[0] for name in states} == {"penstock_bucket_state", "penstock_file_system_state"}
        site = Site.of(service)
        (site.root / "failing").mkdir()
        stream = site.stream("failing", "StreamImport")
        site.move_all(stream, ["not-there"])
        (failed,) = site.ended(stream)
        assert scraped(page)['penstock_subtask_duration_seconds_count{"status": "FAILED"}'] == 1
        assert numbers[f'penstock_build_info{{"version": "{__version__}"}}'] == 1
        site.client.close()
        (home / "catalog.db").rename(home / "taken-away")
        wait_until(lambda: asked(f"{beside}/readyz")[0] == 503, PATIENCE_S, "it is ready without its catalog")
        assert b"was removed or replaced" in asked(f"{beside}/readyz")[1]
        seen = json.loads(try_cli("doctor", str(home), "--json").stdout)["findings"]
        (gone,) = [each for each in seen if each["about"] == "catalog"]
        assert (gone["grade"], "was taken away" in gone["words"]) == ("problem", True)
        (home / "taken-away").rename(home / "catalog.db")
        wait_until(lambda: asked(f"{beside}/readyz")[0] == 200, PATIENCE_S, "it stays unready")
    finally:
        assert service.stop() == 0
    lines = [json.loads(line) for line in service.log_text().splitlines()]
    assert {"emulator.answers", "executor.mover_up", "service.stopped"} <= {line["event"] for line in lines}
    (said,) = [line for line in lines if line["event"] == "engine.sub_task_failed"]
    assert (said["sub_task_id"], said["code"], said["level"]) == (failed, "SourceNotFound", "WARNING")
    assert re.search(r"\(request id \w+\)$", said["message"])  # the store's own, for who has to ask its makers


def test_a_service_that_starts_is_not_ready_yet(home: Path) -> None:
    """It waits for the catalog, which somebody holds locked; the listener of metrics is there already."""
    start_service(home).stop()
    port = free_port()
    changed(home, metrics_listen=f'"127.0.0.1:{port}"')
    beside = f"http://127.0.0.1:{port}"
    with closing(sqlite3.connect(home / "catalog.db")) as raw, ThreadPoolExecutor(1) as thread:
        raw.execute("BEGIN EXCLUSIVE")
        starting = thread.submit(start_service, home)
        wait_until(lambda: is_listening(port), PATIENCE_S, "nobody listens")
        assert asked(f"{beside}/healthz") == (200, b"ok\n")
        for path in ("/readyz", "/metrics"):
            status, words = asked(f"{beside}{path}")
            assert (status, b"is starting" in words) == (503, True)
        raw.execute("ROLLBACK")
        service = starting.result(PATIENCE_S)
    try:
        wait_until(lambda: asked(f"{beside}/readyz") == (200, b"ok\n"), PATIENCE_S, "it is not ready")
    finally:
        assert service.stop() == 0
