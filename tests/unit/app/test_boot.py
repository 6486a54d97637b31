"""Is one life of the machine told from the next?"""

from __future__ import annotations

import os
from pathlib import Path

from penstock.app.boot import boot_id


def test_it_is_the_same_as_long_as_the_machine_lives() -> None:
    first = boot_id(os.urandom)
    assert first
    assert boot_id(os.urandom) == first


def test_where_the_kernel_tells_nothing_no_two_are_alike(tmp_path: Path) -> None:
    missing = tmp_path / "boot_id"
    assert boot_id(os.urandom, path=missing) != boot_id(os.urandom, path=missing)
