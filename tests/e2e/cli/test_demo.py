"""Does the demo move both ways, say so, and leave nothing behind?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def run_demo(tmp_path: Path, program: list[str]) -> subprocess.CompletedProcess[str]:
    """The demo with its temporary directory in ours."""
    return subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_it_exits_with_0_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_demo(tmp_path, ["scripts/demo.py"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.count('"Status": "COMPLETE"') == 4
    assert done.stdout.count("the same bytes") == 4
    assert "penstock serve" in done.stdout
    assert os.listdir(tmp_path) == []


def test_when_it_fails_it_keeps_what_it_made_and_says_where(tmp_path: Path) -> None:
    failing = "demo.MOVE_S = -1; demo.SIZES['checkpoint.bin'] = 1000"
    done = run_demo(tmp_path, ["-c", f"import sys; from scripts import demo; {failing}; sys.exit(demo.main())"])
    assert done.returncode == 1
    (kept,) = tmp_path.iterdir()
    assert "The demo failed" in done.stdout
    assert f"kept in {kept}" in done.stdout
    assert (kept / "service.log").read_text()
