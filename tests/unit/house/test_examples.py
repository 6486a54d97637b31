"""Are the examples of an ordinary run the same each time, whatever else is loaded?"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.chance import ORDINARY, seed_of

ELSEWHERE = "".join(f"NAME_{number} = ({number * 7919 + 100_003}, 'word {number}')\n" for number in range(200))


def made_up() -> list[tuple[int, str]]:
    """What one test is given."""
    seen: list[tuple[int, str]] = []

    @settings(max_examples=300)
    @given(st.integers(), st.text(max_size=20))
    def see(number: int, word: str) -> None:
        seen.append((number, word))

    see()
    return seen


@pytest.mark.skipif(not settings().derandomize, reason="exploring")
def test_examples_do_not_depend_on_what_else_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A green run would be green again only as long as no module is loaded in another order."""
    before = made_up()
    assert len(set(before)) > 200
    path = tmp_path / "elsewhere.py"
    path.write_text(ELSEWHERE)
    spec = importlib.util.spec_from_file_location("elsewhere", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    spec.loader.exec_module(module)
    assert made_up() == before


def test_seeds_are_the_same_each_time_unless_others_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_PLANTED_SEED", raising=False)
    assert seed_of("PLANTED") == ORDINARY
    monkeypatch.setenv("PENSTOCK_PLANTED_SEED", "7")
    assert seed_of("PLANTED") == 7
    monkeypatch.setenv("PENSTOCK_PLANTED_SEED", "0")
    assert seed_of("PLANTED") != seed_of("PLANTED")
