"""Does one worker get all tests of a group, so that what is slow to start is started once?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GROUPED = """
import os
from pathlib import Path
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_of_the_group(number):
    Path(os.environ["PYTEST_XDIST_WORKER"]).touch()
"""


def test_the_tests_of_one_group_are_run_by_one_worker(tmp_path: Path) -> None:
    """Once a new pytest had the groups forgotten without a word, and every worker started a Ceph of its own."""
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    alone = ["-p", "xdist.plugin", "-p", "no:cacheprovider"]  # no plugin but the one that is asked about
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *alone, "-n", "2", "--dist", "loadgroup", tmp_path],
        cwd=tmp_path,
        env={**plain, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    workers = sorted(path.name for path in tmp_path.glob("gw*"))
    assert len(workers) == 1, f"the group was dealt out to {workers}: does this pytest-xdist go with this pytest?"
