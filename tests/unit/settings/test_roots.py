"""Are roots refused that would hand out HOME, or one file under two ids?"""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import SettingsError
from penstock.model import FileSystem
from penstock.settings.editing import add_file_system
from penstock.settings.home import Home
from penstock.settings.reading import load_registry


def a_file_system(name: str, root: Path) -> FileSystem:
    """One of that id."""
    return FileSystem(file_system_id=f"bmcpfs-{name}", root=str(root))


@pytest.fixture
def inner(home: Home) -> Home:
    """A HOME with room beside it."""
    made = Home(path=home.path / "home")
    made.path.mkdir()
    for file in (home.settings_file, home.secrets_file):
        file.rename(made.path / file.name)
    return made


@pytest.mark.parametrize(
    ("root", "said"),
    [("", "it is"), ("..", "it holds"), ("emulator", "it lies in"), ("link", "it is"), ("/", "it holds")],
)
def test_no_root_hands_out_home(inner: Home, root: str, said: str) -> None:
    (inner.path / "emulator").mkdir()
    (inner.path / "link").symlink_to(inner.path)
    before = inner.settings_file.read_bytes()
    with pytest.raises(SettingsError, match=f"{said} .*, and the service's secrets could be exported"):
        add_file_system(inner, a_file_system("1", inner.path / root))
    assert inner.settings_file.read_bytes() == before


def test_what_init_makes_may_be_a_root(inner: Home) -> None:
    for name in ("filesystem", "filesystem-2"):
        (inner.path / name).mkdir()
        add_file_system(inner, a_file_system(name, inner.path / name))
    assert len(load_registry(inner).file_systems) == 2


def test_one_directory_belongs_to_one_file_system(inner: Home) -> None:
    data = inner.path.parent / "data"
    (data / "inner").mkdir(parents=True)
    (inner.path.parent / "link").symlink_to(data)
    (inner.path.parent / "data-2").mkdir()
    add_file_system(inner, a_file_system("1", data))
    for again in (data, data / "inner", inner.path.parent / "link", inner.path.parent / "link" / "inner"):
        with pytest.raises(SettingsError, match="hold the same files"):
            add_file_system(inner, a_file_system("2", again))
    add_file_system(inner, a_file_system("2", inner.path.parent / "data-2"))


def test_a_root_cannot_be_put_around_another(inner: Home) -> None:
    (inner.path / "filesystem" / "inner").mkdir(parents=True)
    add_file_system(inner, a_file_system("1", inner.path / "filesystem" / "inner"))
    with pytest.raises(SettingsError, match="hold the same files"):
        add_file_system(inner, a_file_system("2", inner.path / "filesystem"))
