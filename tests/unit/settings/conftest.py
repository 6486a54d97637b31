"""A HOME with two files, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.settings.home import Home
from penstock.settings.writing import SECRETS_HEAD, first_settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """As `init` leaves it, without anything registered."""
    made = Home(path=tmp_path)
    made.settings_file.write_text(first_settings({}))
    made.secrets_file.write_text(SECRETS_HEAD)
    made.secrets_file.chmod(0o600)
    return made
