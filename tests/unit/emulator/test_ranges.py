"""What does a Range mean, with and without x-oss-range-behavior, and when do the If-* headers hold?"""

from __future__ import annotations

import pytest

from penstock.emulator.protocol.errors import OssFault
from penstock.emulator.protocol.ranges import check_conditions, resolve

WHOLE = (0, 10, False)


def told(asked: str, behavior: str, size: int = 10) -> tuple[int, int, bool] | str:
    try:
        span = resolve(asked, behavior, size)
    except OssFault as fault:
        return f"{fault.status} {fault.code}"
    return span.offset_bytes, span.length_bytes, span.partial


@pytest.mark.parametrize(
    ("asked", "plain", "standard"),
    [
        ("bytes=0-0", (0, 1, True), (0, 1, True)),
        ("bytes=2-5", (2, 4, True), (2, 4, True)),
        ("bytes=9-9", (9, 1, True), (9, 1, True)),
        ("bytes=0-9", (0, 10, True), (0, 10, True)),
        ("bytes=3-", (3, 7, True), (3, 7, True)),
        ("bytes=-4", (6, 4, True), (6, 4, True)),
        ("bytes=-10", (0, 10, True), (0, 10, True)),
        ("bytes=5-10", WHOLE, (5, 5, True)),
        ("bytes=0-99", WHOLE, (0, 10, True)),
        ("bytes=-11", WHOLE, (0, 10, True)),
        ("bytes=10-", WHOLE, "416 InvalidRange"),
        ("bytes=10-12", WHOLE, "416 InvalidRange"),
        ("bytes=-0", WHOLE, "416 InvalidRange"),
        ("bytes=5-4", WHOLE, WHOLE),
        ("bytes=-", WHOLE, WHOLE),
        ("bytes=0-1,4-5", WHOLE, WHOLE),
        ("bytes=a-b", WHOLE, WHOLE),
        ("items=0-1", WHOLE, WHOLE),
        ("bytes=99999999999999999999-", WHOLE, WHOLE),
        ("", WHOLE, WHOLE),
    ],
)
def test_ranges_of_ten_bytes(asked: str, plain: object, standard: object) -> None:
    assert told(asked, "") == plain
    assert told(asked, "standard") == standard


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=0-", "bytes=-1"])
def test_an_empty_object_has_no_range(asked: str) -> None:
    assert told(asked, "", 0) == (0, 0, False)
    assert told(asked, "standard", 0) == "416 InvalidRange"


def test_an_unknown_behavior_is_refused() -> None:
    assert told("bytes=0-1", "loose") == "400 InvalidArgument"


ETAG = "0" * 31 + "A"
MODIFIED_NS = 1_700_000_000 * 10**9 + 999_999_999  # Tue, 14 Nov 2023 22:13:20 GMT and nearly a second
BEFORE, AT, AFTER = (f"Tue, 14 Nov 2023 22:13:{second} GMT" for second in (19, 20, 21))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"if-match": f'"{ETAG}"'}, 200),
        ({"if-match": ETAG.lower()}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": f'"{"1" * 32}", "{ETAG}"'}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-none-match": f'"{ETAG}"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"other"'}, 200),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": AT}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": AT}, 200),
        ({"if-modified-since": "nonsense"}, 200),
        ({"if-unmodified-since": "nonsense"}, 200),
        ({"if-none-match": '"other"', "if-modified-since": AFTER}, 200),
        ({"if-match": ETAG, "if-unmodified-since": BEFORE}, 200),
        ({"if-match": '"other"', "if-none-match": f'"{ETAG}"'}, 412),
    ],
)
def test_conditions(headers: dict[str, str], status: int) -> None:
    found = 200
    try:
        check_conditions(headers, prefix="", etag=ETAG, modified_ns=MODIFIED_NS)
    except OssFault as fault:
        found = fault.status
    assert found == status


def test_a_copys_source_that_has_not_changed_is_a_failed_precondition() -> None:
    with pytest.raises(OssFault) as caught:
        check_conditions(
            {"x-oss-copy-source-if-none-match": ETAG}, prefix="x-oss-copy-source-", etag=ETAG, modified_ns=MODIFIED_NS
        )
    assert (caught.value.status, caught.value.code) == (412, "PreconditionFailed")
