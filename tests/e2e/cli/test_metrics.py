"""Does a served HOME tell its numbers where it was told to, and only there?"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.service import init_home, start_service
from tests.fixtures.waiting import wait_until

PATIENCE_S = 30.0


def scraped(url: str) -> dict[str, float]:
    """All samples, by name and labels."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_numbers_are_told_where_the_settings_say(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home)
    settings = home / "penstock.toml"
    text = settings.read_text()
    assert 'metrics_listen = ""' in text
    settings.write_text(text.replace('metrics_listen = ""', 'metrics_listen = "[::1]:0"'))
    service = start_service(home)
    try:
        url = json.loads((home / "service.json").read_text())["metrics"]
        assert url.startswith("http://[::1]:")
        wait_until(lambda: scraped(url)["penstock_movers_up{}"] == 2, PATIENCE_S, "the movers are not told")
        numbers = scraped(url)
        assert numbers['penstock_subtasks{"status": "RUNNING"}'] == 0
        assert numbers['penstock_resident_memory_bytes{"process": "control"}'] > 1 << 20
        assert numbers['penstock_cpu_seconds_total{"process": "control"}'] > 0
    finally:
        assert service.stop() == 0
