"""Does a SIGKILL before any single step lose, tear or leave anything?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.transfer.victims import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_before_every_step(name: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.transfer.victims", name, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["wrong"] == [], ran.stderr
    assert told["points"] >= (8 if "large" in name else 2)
