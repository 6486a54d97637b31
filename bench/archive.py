"""Where results are kept: one JSON file a scale, in it each scenario with what has to be known about its own run.

So that a long measurement can be taken in parts, on several evenings: a scenario that is run again replaces only itself.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOT_CODE = ("bench/results/", "docs/")

Results = dict[str, Any]
"""Scenario -> {"about": {...}, "rows": [...]}."""


def load(path: Path) -> Results:
    """What is there; nothing where there is no such file. Raises ValueError for a file that is none of ours."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    if not isinstance(found, dict) or not all(isinstance(each, dict) and "rows" in each for each in found.values()):
        raise ValueError(f"{path} holds no results of this program; move it away")
    return found


def keep(path: Path, scenario: str, about: Mapping[str, object], rows: list[Any]) -> Results:
    """Puts one scenario's rows in the place of its earlier ones; all results. The file is never half written."""
    results = load(path)
    results[scenario] = {"about": dict(about), "rows": rows}
    partial = path.with_name(f"{path.name}.new")
    partial.write_text(json.dumps(results, indent=1) + "\n")
    partial.rename(path)
    return results


def surroundings(directory: Path, accounting: tuple[str, float]) -> dict[str, object]:
    """The machine and the code: what is the same for all scenarios of one invocation."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    kind, burnt_s = accounting
    commit, tree = commit_of(ROOT)
    return {
        "commit": commit,
        "tree": tree,
        "cores": os.cpu_count(),
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": _told("findmnt", "-no", "FSTYPE", "-T", str(directory)) or "unknown",
        "accounting": kind,
        "burner_counted_s": burnt_s,
    }


def beginning() -> dict[str, object]:
    """When a scenario begins, and how busy the machine is with other things."""
    return {"began": time.strftime("%Y-%m-%d %H:%M:%S %z"), "load_before": os.getloadavg()[0]}


def commit_of(root: Path) -> tuple[str, str]:
    """The commit that is measured, and whether the code differs from it: clean, changed, or unknown without git."""
    commit = _told("git", "-C", str(root), "rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown", "unknown"
    status = _told("git", "-C", str(root), "status", "--porcelain", "--untracked-files=all").splitlines()
    changed = [line[3:] for line in status if not line[3:].startswith(NOT_CODE)]
    return commit, "changed" if changed else "clean"


def _told(*command: str) -> str:
    """What a program says; nothing where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return done.stdout.rstrip() if done.returncode == 0 else ""
