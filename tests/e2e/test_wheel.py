"""Is all in the wheel that a service needs, and does `penstock` run from it alone?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.fixtures.service import environment, start_service

pytestmark = pytest.mark.xdist_group("wheel")  # which takes seconds to make

ROOT = Path(__file__).parents[2]


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing in it but what the wheel holds."""
    place = tmp_path_factory.mktemp("wheel")
    quiet = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run([*quiet, "wheel", "-qq", "--no-deps", "--wheel-dir", str(place), str(ROOT)])
    (wheel,) = place.glob("penstock-*.whl")
    run([*quiet, "install", "-qq", "--no-deps", "--target", str(place / "installed"), str(wheel)])
    return place / "installed"


def test_what_is_not_code_is_in_the_wheel(installed: Path) -> None:
    package = ROOT / "penstock"
    wanted = {
        path.relative_to(ROOT) for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    found = {path.relative_to(installed) for path in (installed / "penstock").rglob("*") if path.is_file()}
    assert wanted <= found, sorted(wanted - found)
    assert {path.suffix for path in wanted} >= {".sql", ".html", ".css", ".js", ".py"}


def test_a_service_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Its movers and its bucket server too: they find the package where the service found it."""
    there = {**environment(), "PYTHONPATH": str(installed)}
    command = (sys.executable, "-P", "-m", "penstock.cli")
    asked = subprocess.run(
        [sys.executable, "-P", "-c", "import penstock; print(penstock.__file__)"], env=there, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(asked.stdout.strip()).is_relative_to(installed)
    home = tmp_path / "home"
    subprocess.run([*command, "init", str(home)], env=there, cwd=tmp_path, capture_output=True, check=True)
    service = start_service(home, environment={"PYTHONPATH": str(installed)})
    try:
        console = json.loads((home / "service.json").read_text())["console"]
        with urllib.request.urlopen(f"{console}/login", timeout=30) as answer:
            page = answer.read().decode()
        sheet = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        with urllib.request.urlopen(f"{console}{sheet}", timeout=30) as answer:
            assert answer.status == 200
        assert os.fsencode(f"PYTHONPATH={installed}") in Path(f"/proc/{service.pid}/environ").read_bytes()
    finally:
        assert service.stop() == 0


def test_the_example_of_a_test_runs_with_the_fixture_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    """As docs/stand-in.md has it; pytest finds the plugin by itself."""
    page = (ROOT / "docs" / "stand-in.md").read_text()
    (tmp_path / "test_mine.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)],
        env={**environment(), "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
