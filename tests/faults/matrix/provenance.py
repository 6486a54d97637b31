"""Which code a table is of: the commit, for people, and a fingerprint, that tells whether the code changed meanwhile."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

ROOM = Path(__file__).parents[3]
CODE = ("penstock", "tests/faults/matrix", "tests/fixtures")
"""What a verdict depends on."""


def commit(room: Path = ROOM) -> str:
    """The commit that is checked out, and whether the code differs from it; "" where git knows none."""
    name = _git(room, "rev-parse", "--short=12", "HEAD")
    return f"{name}, changed" if name and _git(room, "status", "--porcelain", "--", *CODE) else name


def fingerprint(room: Path = ROOM) -> str:
    """Of all of that code, as it is on the disk now."""
    told = hashlib.sha256()
    for path in sorted(path for part in CODE for path in (room / part).rglob("*") if path.suffix in {".py", ".sql"}):
        told.update(f"{path.relative_to(room)}\0".encode() + path.read_bytes())
    return told.hexdigest()


def _git(room: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(room), *arguments], capture_output=True, check=False, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
