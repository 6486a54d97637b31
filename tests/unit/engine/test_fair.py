"""Does every task get its turn, by bytes and by files, whatever the others do?"""

from __future__ import annotations

from collections import Counter, UserDict
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.fair import Fairness, Floor, Kept
from penstock.engine.journey import Ends

COST = 256 << 10
OPEN = Floor(free=64, reserved=0)


def serve(fairness: Fairness, sizes: dict[str, int], *, steps: int, room: int = 8) -> Counter[str]:
    """Let backlogged tasks claim again and again; every file ends, and is charged, before the next step."""
    bytes_of: Counter[str] = Counter()
    for _ in range(steps):
        for share in fairness.shares(sorted(sizes), Floor(free=room, reserved=0), {}):
            fairness.claimed(share.task_id, share.count)
            fairness.charge(share.task_id, share.count * sizes[share.task_id])
            bytes_of[share.task_id] += share.count * (COST + sizes[share.task_id])
    return bytes_of


def test_one_ready_task_gets_all_the_room() -> None:
    shares = Fairness(file_cost_bytes=COST).shares(["a"], OPEN, {})
    assert [(share.task_id, share.count) for share in shares] == [("a", 64)]


@given(free=st.integers(0, 200), reserved=st.integers(0, 100), under_way=st.integers(0, 150))
def test_one_alone_gets_at_once_what_it_would_get_one_by_one(free: int, reserved: int, under_way: int) -> None:
    floor, taken = Floor(free=free, reserved=reserved), 0
    while free - taken > floor.must_leave(under_way + taken):
        taken += 1
    shares = Fairness(file_cost_bytes=COST).shares(["a"], floor, {"a": under_way})
    assert sum(share.count for share in shares) == taken


def test_an_offer_is_of_its_moment_and_divided_as_the_account_would_be() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    fairness.saw(["a", "b"], {})
    fairness.charge("a", 10 * COST)
    under_way = Counter({"a": 3})
    offer = fairness.offer(OPEN, under_way)
    expected = fairness.shares(["a", "b", "c"], OPEN, {"a": 3})
    fairness.charge("b", 1000 * COST)
    under_way["a"] = 60
    assert offer.shares(["a", "b", "c"]) == expected
    counts = {share.task_id: share.count for share in expected}
    assert counts["a"] + 10 in {counts["b"], counts["b"] + 1, counts["b"] - 1}


def test_equal_tasks_get_equal_shares() -> None:
    shares = Fairness(file_cost_bytes=COST).shares(["a", "b", "c", "d"], OPEN, {})
    assert {share.task_id: share.count for share in shares} == dict.fromkeys("abcd", 16)


def test_a_task_with_large_files_claims_fewer_of_them() -> None:
    served = serve(Fairness(file_cost_bytes=COST), {"large": 8 << 20, "small": 0}, steps=400)
    assert served["large"] <= served["small"] + 8 * (COST + (8 << 20))
    assert served["small"] <= served["large"] + 8 * (COST + (8 << 20))


@given(
    sizes=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 8 << 20), min_size=1),
    room=st.integers(1, 40),
)
def test_backlogged_tasks_stay_within_one_step_of_each_other(sizes: dict[str, int], room: int) -> None:
    served = serve(Fairness(file_cost_bytes=COST), sizes, steps=60, room=room)
    largest_step = room * (COST + max(sizes.values()))
    assert max(served[task] for task in sizes) - min(served[task] for task in sizes) <= 2 * largest_step


@given(
    arrivals=st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=80),
    sizes=st.dictionaries(st.sampled_from("abcdefp"), st.integers(0, 1 << 30)),
    room=st.integers(1, 6),
)
def test_no_ready_task_starves(arrivals: list[set[str]], sizes: dict[str, int], room: int) -> None:
    """While "p" is ready all the time, nobody gets more than p's own last helping and one step before p's next turn."""
    fairness = Fairness(file_cost_bytes=COST)
    step = room * (COST + max(sizes.values(), default=0))
    since: Counter[str] = Counter()
    for ready in arrivals:
        for share in fairness.shares(sorted(ready | {"p"}), Floor(free=room, reserved=0), {}):
            fairness.claimed(share.task_id, share.count)
            fairness.charge(share.task_id, share.count * sizes.get(share.task_id, 0))
            since[share.task_id] += share.count * (COST + sizes.get(share.task_id, 0))
        if since["p"]:
            since.clear()
        assert max(since.values(), default=0) <= 2 * step


def test_the_task_with_the_longest_lead_waits_for_all_others() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    under_way = {"a": 1, "b": 1}
    fairness.shares(["a", "b"], Floor(free=0, reserved=0), under_way)
    fairness.charge("a", 1 << 40)
    assert [share.task_id for share in fairness.shares(["a", "late"], OPEN, under_way)] == ["late"]


def test_a_newcomer_owes_nothing_and_is_owed_nothing() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    fairness.shares(["old"], OPEN, {})
    fairness.claimed("old", 1)
    fairness.charge("old", 1 << 40)
    shares = fairness.shares(["new", "old"], OPEN, {"old": 1})
    assert {share.task_id: share.count for share in shares} == {"new": 32, "old": 32}


def test_a_task_that_was_idle_saves_nothing_up() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    fairness.shares(["idle", "busy"], OPEN, {})
    for _ in range(100):
        fairness.shares(["busy"], OPEN, {"busy": 1})
        fairness.claimed("busy", 8)
    shares = fairness.shares(["busy", "idle"], OPEN, {"busy": 1})
    assert {share.task_id: share.count for share in shares} == {"busy": 32, "idle": 32}


def test_reserved_places_are_for_those_who_have_little() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    greedy = fairness.shares(["greedy"], Floor(free=10, reserved=4), {"greedy": 20})
    assert [(share.task_id, share.count) for share in greedy] == [("greedy", 6)]
    late = fairness.shares(["greedy", "late"], Floor(free=4, reserved=4), {"greedy": 26})
    assert [(share.task_id, share.count) for share in late] == [("late", 4)]


@given(
    free=st.integers(0, 50),
    reserved=st.integers(0, 20),
    under_way=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 60)),
)
def test_never_more_than_there_is(free: int, reserved: int, under_way: dict[str, int]) -> None:
    shares = Fairness(file_cost_bytes=COST).shares(["a", "b", "c"], Floor(free=free, reserved=reserved), under_way)
    assert sum(share.count for share in shares) <= free
    left = free
    for share in shares:
        assert share.count > 0
        left -= share.count
    hungry = [task for task in "abc" if under_way.get(task, 0) < reserved]
    if free and (hungry or free > reserved):
        assert shares


def test_the_account_does_not_grow_with_tasks_that_are_gone() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    for number in range(1500):
        fairness.shares([f"task-{number}", "steady"], OPEN, {"steady": 1})
        fairness.claimed(f"task-{number}", 1)
    assert len(fairness._served) <= 1024 + 2
    assert len(fairness._last_turn) <= 1024 + 2


def test_the_most_served_task_is_known() -> None:
    fairness = Fairness(file_cost_bytes=COST)
    fairness.shares(["a", "b"], OPEN, {})
    fairness.charge("b", 5)
    assert fairness.most_served(["a", "b"]) == "b"
    assert fairness.most_served([]) is None


class Walked(UserDict[Ends, int]):
    """Counts how often all of it was gone through."""

    walks = 0

    def __iter__(self) -> Iterator[Ends]:
        self.walks += 1
        return super().__iter__()


def test_however_many_tasks_are_ready_what_is_under_way_is_counted_once() -> None:
    under_way = Walked({(f"b{number % 3}", f"fs{number}"): number % 3 for number in range(300)})
    ends_of = {f"t{number}": (f"b{number % 4}", f"fs{number % 300}") for number in range(900)}
    kept = Kept(free=2000, each=150, newcomer=2, under_way=under_way, ends_of=ends_of)
    rooms = {task: (peer, left) for task, peer, left in kept.rooms_of([*ends_of, "new"])}
    assert under_way.walks == 1
    assert rooms["t0"] == rooms["t8"] == ("b0", 150)  # nothing of it is under way,
    assert rooms["t1"] == rooms["t9"] == ("b1", 50)  # of this one 100,
    assert rooms["t3"] == ("b3", 150)
    assert rooms["t2"] == (("b2", "fs2"), 0)  # and of this one more than each may have
    assert rooms["t302"] == (("b2", "fs2"), 0)
    assert rooms["t10"] == (("b2", "fs10"), 2)
    assert rooms["new"] == ("new", 2)
