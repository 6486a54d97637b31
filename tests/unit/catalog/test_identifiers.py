"""Do ids have the vendor's shapes, stand in the order of their creation, and give their numbers back?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog.identifiers import (
    NO_NUMBER,
    NumberClock,
    base36,
    data_flow_id,
    data_flow_number,
    own_sub_task_ids,
    sub_task_ids,
    sub_task_number,
    task_id,
    task_number,
)

NUMBERS = st.integers(0, (1 << 62) - 1)
CHANCE = st.binary(min_size=5, max_size=5)


def sub_task_id(number: int, chance: bytes) -> str:
    (made,) = own_sub_task_ids(number, 1, chance)
    return made


@given(NUMBERS, CHANCE)
def test_shapes_and_numbers(number: int, chance: bytes) -> None:
    assert re.fullmatch(r"df-[0-9a-f]{16}", data_flow_id(number))
    assert re.fullmatch(r"task-[0-9a-f]{16}", task_id(number))
    assert re.fullmatch(r"subTaskId-[0-9a-z]{19}", sub_task_id(number, chance))
    assert data_flow_number(data_flow_id(number)) == number
    assert task_number(task_id(number)) == number
    assert sub_task_number(sub_task_id(number, chance)) == number


@given(NUMBERS, NUMBERS, CHANCE, CHANCE)
def test_the_order_of_ids_is_the_order_of_numbers(one: int, two: int, chance: bytes, other: bytes) -> None:
    assert (data_flow_id(one) < data_flow_id(two)) == (one < two)
    assert (task_id(one) < task_id(two)) == (one < two)
    if one != two:
        assert (sub_task_id(one, chance) < sub_task_id(two, other)) == (one < two)


@given(NUMBERS, st.integers(0, 3000), CHANCE)
def test_many_ids_are_each_as_it_is_made_alone(first: int, count: int, chance: bytes) -> None:
    assert sub_task_ids(first, count, chance) == [sub_task_id(first + i, chance) for i in range(count)]
    chances = chance * (count // 2) + bytes(5) * (count - count // 2)
    assert own_sub_task_ids(first, count, chances) == [
        sub_task_id(first + i, chance if i < count // 2 else bytes(5)) for i in range(count)
    ]


def test_numbers_taken_together_are_given_once() -> None:
    clock = NumberClock(lambda: 100, last=0)
    assert (clock.take(1000), clock.next(), clock.take(0), clock.take(2), clock.next()) == (100, 1100, 1101, 1101, 1103)


@given(st.integers(0, 36**7 - 1))
def test_base_36_is_what_int_reads(value: int) -> None:
    assert int(base36(value, 7), 36) == value


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "df-", "df-0", "df-00000000000000zz", "DF-0000000000000000", "df-0000000000000000\n"),
        *("df-" + "٣" * 16, "df-ffffffffffffffff", "task-0000000000000000 "),
        *("subTaskId-" + "0" * 18, "subTaskId-" + "Z" * 19),
    ],
)
def test_what_is_no_id_has_no_number(wrong: str) -> None:
    assert {data_flow_number(wrong), task_number(wrong), sub_task_number(wrong)} == {NO_NUMBER}


@given(st.lists(st.integers(0, 1 << 61), max_size=50), st.integers(0, 1 << 61))
def test_numbers_grow_even_when_the_clock_does_not(times: list[int], last: int) -> None:
    clock = iter(times)
    numbers = NumberClock(lambda: next(clock), last)
    before = last
    for time_ns in times:
        number = numbers.next()
        assert number > before
        assert number >= time_ns
        assert number in {time_ns, before + 1}
        before = number
