"""Are a list's filters read from a URL with every mistake named, and written back as they were?"""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog.views import Browse, Order, PathFilter, PathMatch
from penstock.console.filters import FileFilters, browse_of, read
from penstock.model import Direction, SubTaskStatus

NOW_NS = 1_700_000_000_000_000_000
HOUR_NS = 3600 * 1_000_000_000


def asked(query: str):  # type: ignore[no-untyped-def]
    return read(parse_qsl(query), now_ns=NOW_NS)


def test_no_query_narrows_nothing() -> None:
    assert asked("").filters == FileFilters()
    assert not asked("").filters.narrowed
    assert not asked("order=worst").filters.narrowed


def test_all_parts_are_read() -> None:
    found = asked(
        "fs=bmcpfs-1&flow=df-1&task=task-1&status=FAILED&status=expired&direction=import&path=/a%20b/&least=1KiB&most=2M"
        "&since=2023-01-31T12:00&until=2023-02-01&order=worst&cursor=abc"
    )
    assert found.wrong == {}
    assert found.cursor == "abc"
    assert found.filters == FileFilters(
        file_system="bmcpfs-1",
        data_flow="df-1",
        task="task-1",
        statuses=(SubTaskStatus.FAILED, SubTaskStatus.EXPIRED),
        direction=Direction.IMPORT,
        path="/a b/",
        least_bytes=1024,
        most_bytes=2 << 20,
        since_ns=1_675_166_400_000_000_000,
        until_ns=1_675_209_600_000_000_000,
        order=Order.WORST,
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4096", 4096), ("64 KiB", 65536), ("64k", 65536), ("1.5 GiB", 3 << 29), ("2MB", 2_000_000), ("3B", 3)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert asked(f"least={text.replace(' ', '%20')}").filters.least_bytes == size


@pytest.mark.parametrize(
    "query",
    [
        "least=much", "most=-1", "least=9999999999999999999", "status=DONE", "direction=up", "order=best", "time=2h",
        "since=yesterday", "until=2600-01-01", "task=a/b", "fs=" + "x" * 200, "path=" + "x" * 1024, "path=a%00b",
        "least=1.5.5", "since=2023-02-30",
    ],
)  # fmt: skip
def test_a_mistake_is_named_where_it_is(query: str) -> None:
    assert list(asked(query).wrong) == [query.partition("=")[0]]


def test_ranges_that_hold_nothing_are_mistakes() -> None:
    assert "most" in asked("least=2k&most=1k").wrong
    assert "until" in asked("since=2023-01-02&until=2023-01-01").wrong


def test_a_window_stays_where_it_is_from_page_to_page() -> None:
    first = asked("time=1h&status=FAILED")
    assert first.filters.since_ns == NOW_NS - HOUR_NS
    second = read(parse_qsl(first.page_query("next")), now_ns=NOW_NS + HOUR_NS)
    assert second.filters == first.filters
    assert second.cursor == "next"
    assert dict(parse_qsl(second.query())) == {"time": "1h", "status": "FAILED"}


def test_nobody_looks_from_the_future() -> None:
    assert asked(f"time=1h&at={NOW_NS * 2}").filters.since_ns == NOW_NS - HOUR_NS


def test_a_part_is_changed_or_left_out() -> None:
    found = asked("status=FAILED&path=/a&cursor=abc")
    assert dict(parse_qsl(found.query(path=""))) == {"status": "FAILED"}
    assert dict(parse_qsl(found.query(order="worst"))) == {"status": "FAILED", "path": "/a", "order": "worst"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fs", "status", "path", "least", "time", "since", "order", "cursor", "at", "other"]),
            st.text(max_size=30),
        )
    )
)
def test_whatever_is_typed_is_read_and_written_back(query: list[tuple[str, str]]) -> None:
    found = read(query, now_ns=NOW_NS)
    again = read(parse_qsl(found.query()), now_ns=NOW_NS)
    if "at" not in found.typed and not any("," in text for _, text in query):
        assert again.filters == found.filters
        assert again.wrong == found.wrong


def test_only_what_may_be_seen_is_asked_for() -> None:
    assert browse_of(asked("fs=b").filters, ["a", "b"]).file_systems == ("b",)
    assert browse_of(asked("fs=c").filters, ["a", "b"]).file_systems == ()
    assert browse_of(asked("").filters, ["a", "b"]) == Browse(file_systems=("a", "b"))


def test_a_path_with_a_slash_is_a_beginning_and_sizes_hold_both_ends() -> None:
    query = browse_of(asked("path=/a/b&most=10").filters, ["a"])
    assert query.path == PathFilter(text="/a/b", match=PathMatch.PREFIX)
    assert query.size_until_bytes == 11
    assert browse_of(asked("path=b.xml").filters, ["a"]).path == PathFilter(text="b.xml", match=PathMatch.CONTAINS)
