"""Do the examples run as they are, against a real service, and do what their first lines promise?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.service import RunningService, environment, init_home, run_cli, start_service

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A running service."""
    init_home(tmp_path / "home")
    running = start_service(tmp_path / "home")
    yield running
    running.stop()


def run(service: RunningService, example: str, *arguments: str) -> str:
    """What an example prints."""
    given = {
        "PENSTOCK_ENDPOINT": service.api,
        "PENSTOCK_ACCESS_KEY_ID": service.init["access_key_id"],
        "PENSTOCK_ACCESS_KEY_SECRET": service.init["access_key_secret"],
    }
    program = [sys.executable, "-W", "error", str(EXAMPLES / example), "--root", service.init["root"], *arguments]
    done = subprocess.run(program, env=environment(given), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def keys(service: RunningService, prefix: str) -> list[str]:
    listed = json.loads(run_cli("object", "ls", str(service.home), "examplebucket", prefix, "--json"))
    return [each["key"] for each in listed]


def test_they_run_and_do_what_they_promise(service: RunningService) -> None:
    root = Path(service.init["root"])
    small = ("--steps", "40", "--every", "5", "--checkpoint-bytes", str(3 << 20))
    text = run(service, "train_and_export.py", "--to", "oss://examplebucket/run-7/", *small)
    assert "step-000040.pt is in the bucket, with the same checksum (crc64:" in text
    assert keys(service, "run-7/") == [f"run-7/step-{step:06}.pt" for step in range(5, 41, 5)]
    assert sorted(path.name for path in (root / "checkpoints").iterdir()) == ["step-000035.pt", "step-000040.pt"]

    data = ("--storage", "oss://examplebucket/data/")
    text = run(service, "prefetch_dataset.py", *data, "--make", "9", "--ahead", "2")
    assert "epoch 2: 576 records of 9 shards" in text
    most_here = int(text.rpartition("at most ")[2].split()[0])
    assert 1 <= most_here <= 3
    assert list((root / "dataset").iterdir()) == []
    text = run(service, "prefetch_dataset.py", *data, "--shards", "9", "--keep")
    assert text.count("576 records of 9 shards") == 2
    assert len(list((root / "dataset").iterdir())) == 9
