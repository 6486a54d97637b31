"""Is memory given back once for each crowd, and for none that is small?"""

from __future__ import annotations

from penstock.app.memory import CROWD_MIN, AfterCrowds, trim


def test_once_for_each_crowd_when_more_than_half_has_gone() -> None:
    given: list[str] = []
    after = AfterCrowds(lambda: given.append("back"))
    for count in (10, CROWD_MIN - 1, 0, CROWD_MIN, CROWD_MIN // 2):
        after.look(count)
    assert given == []
    for count in (CROWD_MIN // 2 - 1, 300, 0, 0):
        after.look(count)
    assert given == ["back"]
    for count in (4000, 2500, 1900, 1500, 900, 400, 0):
        after.look(count)
    assert given == ["back"] * 3, "at 1,900, and at 900 of what was left"


def test_it_can_be_done() -> None:
    trim()
