"""Answers as bytes: cut anywhere, compared with the standard library's reading, cut short, lengthened, damaged.

All in memory (`memoryline`). Hypothesis prints the example that fails and keeps it; `make fuzz` goes on where this ends.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import StoreUnavailableError
from penstock.stores.body import Ahead, ChunkedBody, EndedEarlyError
from penstock.stores.head import BrokenAnswerError, Head, parse
from tests.fixtures.answerjudge import judge, judge_store
from tests.fixtures.memoryline import Ending, MemoryLine, MemoryWire, hear, heard_by_library

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
FRAMING = {"content-length", "transfer-encoding", "connection", "content-range", "keep-alive"}

names = st.text(TOKEN, min_size=1, max_size=12).filter(lambda name: name.lower() not in FRAMING)
visible = st.characters(min_codepoint=0x21, max_codepoint=0xFF).filter(lambda c: not 0x7F <= ord(c) <= 0xA0)
values = st.lists(st.text(visible, min_size=1, max_size=8), max_size=3).map(" ".join)
blanks = st.sampled_from(["", " ", "\t", "  "])
cuts = st.sets(st.integers(0, 3000), max_size=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer that is right, and what it says."""

    method: str
    content: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    framing: str
    reusable: bool


@st.composite
def chunks(draw: st.DrawFn, body: bytes) -> bytes:
    told = bytearray()
    at = 0
    while at < len(body):
        size = draw(st.integers(1, len(body) - at))
        digits = draw(st.sampled_from(["{:x}", "{:X}", "{:06x}"])).format(size)
        extension = draw(st.sampled_from(["", ";name", ' ; name="value"']))
        told += f"{digits}{extension}\r\n".encode() + body[at : at + size] + b"\r\n"
        at += size
    trailers = draw(st.sampled_from(["", "x-trailer: 1\r\n", "a:\r\nb: c\r\n"]))
    return bytes(told) + f"0\r\n{trailers}\r\n".encode()


@st.composite
def said(draw: st.DrawFn, interim: bool = True) -> Said:
    """Any answer that is right."""
    method = draw(st.sampled_from(["GET", "GET", "PUT", "HEAD"]))
    status = draw(st.sampled_from([200, 200, 206, 204, 304, 404, 500, 599]))
    body = draw(st.binary(max_size=300) | st.integers(0, 40_000).map(bytes))
    told = draw(st.dictionaries(names, values, max_size=8))
    # Two names that differ in case only are one header told twice, which has a test of its own.
    told = {name: value for name, value in told.items() if [n.lower() for n in told].count(name.lower()) == 1}
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    version = "1.0" if framing != "chunks" and draw(st.booleans()) else "1.1"
    closing = draw(st.sampled_from([None, "keep-alive", "close", "Close, x"]))
    content = b""
    if interim:
        content += draw(
            st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n"])
        )
    headers = dict(told)
    if framing == "length":
        headers[draw(st.sampled_from(["content-length", "Content-Length"]))] = str(len(body))
    elif framing == "chunks":
        headers["Transfer-Encoding"] = draw(st.sampled_from(["chunked", "Chunked"]))
    if closing:
        headers["Connection"] = closing
    lines = [f"HTTP/{version} {status}{draw(st.sampled_from(['', ' ', ' Some words']))}"]
    lines += [f"{name}:{draw(blanks)}{value}{draw(blanks)}" for name, value in headers.items()]
    content += ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    reusable = version == "1.1" and closing in {None, "keep-alive"}
    if method == "HEAD" or status in {204, 304}:
        reusable = reusable and (method == "HEAD" or framing != "chunks")
        body, framing = b"", "nothing"
    reusable = reusable and framing != "close"
    content += draw(chunks(body)) if framing == "chunks" else body
    return Said(
        method=method,
        content=content,
        status=status,
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        framing=framing,
        reusable=reusable,
    )


def ending_of(what: Said) -> Ending:
    return Ending.CLOSES if what.framing == "close" else Ending.SAYS_NOTHING


@given(what=said(), cuts=cuts, read_bytes=st.sampled_from([1, 7, 4096, 100_000]))
def test_wherever_an_answer_is_cut_the_same_is_heard(what: Said, cuts: set[int], read_bytes: int) -> None:
    if len(what.body) > 1000:
        read_bytes = max(read_bytes, 100)
    heard = hear(what.content, method=what.method, cuts=cuts, ending=ending_of(what), read_bytes=read_bytes)
    assert (heard.status, heard.headers, heard.body) == (what.status, what.headers, what.body)
    assert heard.consumed == len(what.content)
    assert heard.kept is what.reusable


@given(what=said())
def test_byte_by_byte_the_same_is_heard(what: Said) -> None:
    small = what.content[:2000]
    if small != what.content:
        return
    heard = hear(small, method=what.method, cuts=range(len(small)), ending=ending_of(what))
    assert (heard.status, heard.headers, heard.body) == (what.status, what.headers, what.body)


@given(what=said(interim=False))
def test_the_standard_library_hears_the_same(what: Said) -> None:
    if what.status in {204, 304} and "transfer-encoding" in what.headers and what.method != "HEAD":
        return  # it reads chunks where there can be no body (`answerjudge`)
    ours = hear(what.content, method=what.method, ending=ending_of(what))
    theirs = heard_by_library(what.content, what.method)
    # The library takes HTTP/1.0 connections for kept if asked to, and counts trailers alike: only ours is stricter.
    assert replace(theirs, kept=ours.kept) == ours
    assert theirs.kept or not ours.kept


@given(what=said(), at=st.integers(min_value=0), ending=st.sampled_from(Ending))
def test_an_answer_that_ends_early_is_never_taken_for_whole(what: Said, at: int, ending: Ending) -> None:
    short = what.content[: at % len(what.content)]
    head_end = what.content.rindex(b"\r\n\r\n") + 4 if what.framing == "close" and not what.body else None
    after_head = what.framing == "close" and len(short) >= (head_end or len(what.content) - len(what.body))
    if after_head and ending is Ending.CLOSES:
        return  # nothing tells such an end from the right one
    with pytest.raises(StoreUnavailableError):
        hear(short, method=what.method, ending=ending)


@given(what=said(), more=st.binary(min_size=1, max_size=30), together=st.booleans())
def test_a_connection_that_says_more_than_the_answer_is_not_used_again(what: Said, more: bytes, together: bool) -> None:
    if what.framing == "close":
        return
    wire = MemoryWire([what.content + more] if together else [what.content, more])
    sent = wire.send(what.method, "/", {"host": "peer"}, slot_s=0)
    assert sent is not None
    response = sent.answer()
    assert response.read_bounded(1 << 20) == what.body
    again = wire.send("GET", "/", {"host": "peer"}, slot_s=0)
    assert again is not None
    assert len(wire.lines) == 2, "the next request went out on a connection that was out of step"


@given(
    what=said(),
    edits=st.lists(
        st.tuples(
            st.integers(0, 3000),
            st.integers(0, 20),
            st.sampled_from(
                [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b":", b"0", b"f", b"-1", b";", b"\xff"]
            )
            | st.sampled_from([b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
            | st.binary(max_size=5),
        ),
        min_size=1,
        max_size=4,
    ),
    cuts=cuts,
    ending=st.sampled_from(Ending),
)
def test_a_damaged_answer_is_an_error_or_heard_right(
    what: Said, edits: list[tuple[int, int, bytes]], cuts: set[int], ending: Ending
) -> None:
    content = bytearray(what.content)
    for at, removed, added in edits:
        at %= len(content) + 1  # noqa: PLW2901
        content[at : at + removed] = added
    judge(bytes(content), method=what.method, cuts=cuts, ending=ending)


@given(content=st.binary(max_size=200), cuts=cuts, ending=st.sampled_from(Ending))
@example(content=b"", cuts=set(), ending=Ending.CLOSES)
@example(content=b"HTTP/1.1 200 OK\r\n\r\n", cuts=set(), ending=Ending.RESETS)
def test_anything_at_all_is_an_error_or_heard_right(content: bytes, cuts: set[int], ending: Ending) -> None:
    judge(content, method="GET", cuts=cuts, ending=ending)


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\na: 1\r\n folded\r\ncontent-length: 0\r\n",
        "HTTP/1.1 200 OK\r\n folded: 1\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5_0\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10000000000000000000\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n",
        "HTTP/1.1 200 OK\r\n: 5\r\n",
        "HTTP/1.1 200 OK\r\nnothing\r\n",
        "HTTP/1.1 200 OK\r\na: \x00\r\n",
        "HTTP/1.1 200 OK\r\na: 1\rb: 2\r\n",
        "HTTP/1.1 200 OK\r\na: 1\nb: 2\r\n",
        "HTTP/1.1 200 OK\nb: 2\r\n",
        "HTTP/1.1 200 OK\r\nb: 2\n\n",
        "HTTP/1.1 200 OK\r\n" + "a: 1\r\n" * 129,
        "HTTP/1.1 200 OK\r\na: " + "x" * 65536 + "\r\n",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" * 17 + "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 600 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/2.0 200 OK\r\n",
        "HTTP/1.2 200 OK\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
        "220 ftp.example ready\r\n",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_not_read(head: str) -> None:
    with pytest.raises(StoreUnavailableError, match="broken answer"):
        hear(head.encode("latin-1") + b"\r\n" + b"5\r\nabcde\r\n0\r\n\r\n", ending=Ending.CLOSES)


@pytest.mark.parametrize(
    "body",
    [
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"+5\r\nabcde\r\n0\r\n\r\n",
        b" 5\r\nabcde\r\n0\r\n\r\n",
        b"5 \r\nabcde\r\n0\r\n\r\n",
        b"5_\r\nabcde\r\n0\r\n\r\n",
        b"\r\nabcde\r\n0\r\n\r\n",
        b"5\nabcde\r\n0\r\n\r\n",
        b"5\r\nabcdef\r\n0\r\n\r\n",
        b"5\r\nabcde0\r\n\r\n",
        b"5\r\nabcde\n0\r\n\r\n",
        b"5;\x00\r\nabcde\r\n0\r\n\r\n",
        b"1" * 16 + b"\r\nabcde\r\n0\r\n\r\n",
        b"5;" + b"x" * 5000 + b"\r\nabcde\r\n0\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nno trailer\r\n\r\n",
        b"5\r\nabcde\r\n0\r\na: 1\nb: 2\r\n\r\n",
        b"5\r\nabcde\r\n0\r\n" + b"a: 1\r\n" * 4000 + b"\r\n",
    ],
)
def test_chunks_that_are_not_told_properly_are_broken_off(body: bytes) -> None:
    with pytest.raises(StoreUnavailableError, match="broke off the body"):
        hear(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body)


CHUNKS = "HTTP/1.1 503 Slow\r\ntransfer-encoding: chunked\r\n"
LINES = [b"\r\n", b"\r\n\r\n", b"0\r\n", b"0\r\n\r\n", b"1\r\n", b"3;x\r\n", b"a: b\r\n", b"abc", b"\r", b"x"]


def filled(content: bytes) -> MemoryLine:
    line = MemoryLine([content], Ending.SAYS_NOTHING)
    while line.end < len(content):
        assert line.make_room()
        line.fill(0)
    return line


def waits(content: bytes) -> bool:
    """Whether reading this body waits for more than these bytes."""
    line, body = filled(content), ChunkedBody()
    try:
        while body.readinto(line, memoryview(bytearray(4096)), 60):
            pass
    except TimeoutError:
        return True
    except (BrokenAnswerError, EndedEarlyError):
        pass
    return False


def seen_whole_at(content: bytes, head: Head) -> list[int]:
    """After how many bytes the body was seen to lie there whole, when they came one by one; some room was made meanwhile."""
    line, ahead = filled(b"head" + content), Ahead(head)
    line.start, end = 4, line.end
    found = []
    for count in range(end - 4 + 1):
        if count == 3:
            line.end = end
            assert line.make_room()
            end = line.end
        line.end = line.start + count
        if ahead.lies_whole(line):
            found.append(count)
    return found


@given(content=st.lists(st.sampled_from([*LINES, b"</p>"]), max_size=20).map(b"".join).flatmap(chunks))
@example(content=b"a\r\n<html>\r\n\r\n\r\n0\r\nx: y\r\n\r\n")
@example(content=b"8\r\n<html>\r\n\r\n0\r\n\r\n")
def test_chunks_lie_whole_with_their_last_byte_and_not_before(content: bytes) -> None:
    assert seen_whole_at(content, parse(CHUNKS, "PUT")) == [len(content)]


@given(pieces=st.lists(st.sampled_from(LINES) | st.binary(max_size=3), max_size=12))
@example(pieces=[b"1;", b"x" * 5000])
@example(pieces=[b"0\r\n", b"a: 1\r\n" * 3000])
def test_whatever_comes_lies_whole_where_its_reading_does_not_wait(pieces: list[bytes]) -> None:
    content, head = b"".join(pieces), parse(CHUNKS, "PUT")
    counts = range(len(content) + 1) if len(content) < 200 else [len(content)]
    seen = set(seen_whole_at(content, head))
    assert {count for count in counts if not waits(content[:count])} == seen & set(counts)


def test_a_header_told_twice_is_joined() -> None:
    heard = hear(b"HTTP/1.1 200 OK\r\nVary: a\r\nContent-Length: 0\r\nvary: b\r\n\r\n")
    assert heard.headers["vary"] == "a, b"
    assert heard == heard_by_library(b"HTTP/1.1 200 OK\r\nVary: a\r\nContent-Length: 0\r\nvary: b\r\n\r\n", "GET")


def test_a_large_head_has_its_place() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n" + b"x-oss-meta-a: %s\r\n" % (b"x" * 60_000) + b"\r\n"
    heard = hear(head + b"abc", cuts=range(0, 60_000, 1000))
    assert heard.body == b"abc"
    assert heard.kept


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_judge_notices_a_wrong_reading(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle of the tests above and of the fuzzer has teeth."""
    right = heard_by_library(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", method)
    for wrong in (replace(right, body=b"ab"), replace(right, consumed=right.consumed + 1), replace(right, status=201)):
        monkeypatch.setattr("tests.fixtures.answerjudge.hear", lambda *_a, wrong=wrong, **_k: wrong)
        with pytest.raises(AssertionError):
            judge(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", method=method)


def test_what_the_library_refuses_may_not_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"
    with pytest.raises(http.client.IncompleteRead):
        heard_by_library(content, "GET")
    whole = heard_by_library(content + b"c", "GET")
    monkeypatch.setattr("tests.fixtures.answerjudge.hear", lambda *_a, **_k: whole)
    with pytest.raises(AssertionError):
        judge(content, method="GET")


DATES = b"last-modified: Wed, 23 Oct 2024 16:28:16 GMT\r\n"
MANY = b"9" * 5000
EARLY = b"<LastModified>0001-01-01T00:00:00+23:00</LastModified>"


@pytest.mark.parametrize(
    ("verb", "content"),
    [
        ("head", b"HTTP/1.1 404 No\r\nx-oss-err: \xff\xff\r\n\r\n"),
        ("head", b"HTTP/1.1 200 OK\r\n" + DATES + b"content-length: " + MANY + b"\r\n\r\n"),
        ("put", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-oss-hash-crc64ecma: " + MANY + b"\r\n\r\n"),
        ("put", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-oss-qos-delay-time: " + MANY + b"\r\n\r\n"),
        ("put", b"HTTP/1.1 503 Slow\r\ncontent-length: 0\r\nretry-after: " + MANY + b"\r\n\r\n"),
        (
            "list",
            b"HTTP/1.1 200 OK\r\n\r\n<ListBucketResult><Contents><Key>k</Key><Size>"
            + MANY
            + b"</Size></Contents></ListBucketResult>",
        ),
        (
            "list",
            b"HTTP/1.1 200 OK\r\n\r\n<ListBucketResult><Contents><Key>k</Key><Size>1</Size>"
            + EARLY
            + b"</Contents></ListBucketResult>",
        ),
        ("head", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nlast-modified: Mon, 01 Jan 0001 00:00:00 +2300\r\n\r\n"),
        ("head", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nlast-modified: Mon, 01 Jan 0000 00:00:00 GMT\r\n\r\n"),
        ("head", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nlast-modified: " + MANY + b"\r\n\r\n"),
    ],
)
def test_odd_numbers_dates_and_codes_are_no_surprise(verb: str, content: bytes) -> None:
    judge_store(content, verb=verb, ending=Ending.CLOSES)


@given(what=said(), verb=st.sampled_from(["get", "head", "put", "list"]), cuts=cuts, ending=st.sampled_from(Ending))
def test_a_store_makes_of_any_answer_an_error_or_a_value(what: Said, verb: str, cuts: set[int], ending: Ending) -> None:
    judge_store(what.content, verb=verb, cuts=cuts, ending=ending)
