"""Is a request read as it was meant, within its bounds, whatever bytes arrive?"""

from urllib.parse import unquote_plus, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import protocol
from penstock.api.errors import ApiError
from penstock.api.options import ApiOptions
from penstock.api.protocol import Format, Request

OPTIONS = ApiOptions(header_max_bytes=100, query_max_bytes=200, parameter_max_count=5)
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def parse(query: bytes = b"", body: bytes = b"", headers: dict[str, str] = FORM) -> Request:
    head = protocol.read_head("POST", b"/?" + query, [], OPTIONS)
    return protocol.parse_request(msgspec.structs.replace(head, headers=headers), body, OPTIONS)


def code_of(**arguments: object) -> str:
    with pytest.raises(ApiError) as refused:
        parse(**arguments)  # type: ignore[arg-type]
    return refused.value.code


@pytest.mark.rule("RPC-2")
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (b"a=b+c%2Bd", {"a": "b c+d"}),
        (b"a=%2a~&b=", {"a": "*~", "b": ""}),
        (b"a", {"a": ""}),
        (b"&&a=1&", {"a": "1"}),
        (b"a=%E4%BD%A0&%C3%BC=1", {"a": "你", "ü": "1"}),
        ("a=你".encode(), {"a": "你"}),
        (b"a=1=2", {"a": "1=2"}),
    ],
)
def test_query_and_form_are_decoded_alike(text: bytes, meant: dict[str, str]) -> None:
    assert parse(query=text).parameters == meant
    assert parse(body=text).parameters == meant


TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)


@pytest.mark.rule("RPC-2")
@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=5))
def test_what_is_encoded_comes_out(pairs: dict[str, str]) -> None:
    encoded = urlencode(pairs).encode("ascii")
    if len(encoded) <= OPTIONS.query_max_bytes:
        assert parse(query=encoded).parameters == pairs


@pytest.mark.rule("RPC-2")
def test_a_parameter_comes_once() -> None:
    assert code_of(query=b"a=1&a=1") == "InvalidParameter.Format"
    assert code_of(query=b"a=1", body=b"a=1") == "InvalidParameter.Format"
    assert parse(query=b"a=1", body=b"b=2").parameters == {"a": "1", "b": "2"}


@pytest.mark.rule("RPC-11")
def test_text_is_utf_8() -> None:
    assert code_of(query=b"a=%ff") == "IllegalCharacters"
    assert code_of(body=b"\xff=1") == "IllegalCharacters"


@pytest.mark.rule("RPC-2")
def test_a_body_is_a_form() -> None:
    assert code_of(body=b"{}", headers={"content-type": "application/json"}) == "InvalidParameter.Format"
    assert parse(body=b"a=1", headers={}).parameters == {"a": "1"}


@pytest.mark.rule("RPC-7")
def test_everything_is_bounded() -> None:
    assert code_of(query=b"a=" + b"1" * 199) == "RequestURITooLong"
    assert code_of(query=b"&".join(b"%d=" % number for number in range(6))) == "InvalidParameter.Format"
    assert code_of(query=b"a=&b=&c=", body=b"d=&e=&f=") == "InvalidParameter.Format"
    with pytest.raises(ApiError) as refused:
        protocol.parse_headers([(b"x", b"1" * 100)], OPTIONS)
    assert (refused.value.code, refused.value.http_status) == ("RequestHeaderTooLarge", 431)


def test_repeated_headers_are_sorted_and_joined() -> None:
    found = protocol.parse_headers([(b"X-Acs-A", b" 2 "), (b"x-acs-a", b"1"), (b"host", b"h")], OPTIONS)
    assert found == {"x-acs-a": "1,2", "host": "h"}


@pytest.mark.rule("RPC-1")
@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("PUT", b"/", "UnsupportedHTTPMethod"),
        ("HEAD", b"/?a", "UnsupportedHTTPMethod"),
        ("POST", b"/api", "InvalidApi.NotFound"),
        ("GET", b"//", "InvalidApi.NotFound"),
        ("GET", b"", "InvalidParameter.Format"),
        ("GET", b"\x00", "InvalidParameter.Format"),
        ("GET", b"/?" + b"a" * 201, "RequestURITooLong"),
    ],
)
def test_one_path_two_methods(method: str, target: bytes, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        protocol.read_head(method, target, [], OPTIONS)
    assert refused.value.code == code


@pytest.mark.rule("RPC-1")
@pytest.mark.parametrize("target", [b"/?a=1", b"/?a=1#b", b"http://nas.example?a=1", b"http://nas.example:80/?a=1#"])
def test_targets_as_proxies_write_them(target: bytes) -> None:
    assert protocol.read_head("POST", target, [], OPTIONS).query_string == b"a=1"


@given(st.lists(st.sampled_from(["%2F", "%2f", "%25", "%", "2", "/", "+", "%3"]), max_size=8).map("".join))
def test_escapes_are_undone_once(text: str) -> None:
    assert parse(query=f"a={text}".encode()).parameters == {"a": unquote_plus(text, errors="strict")}


PIECES = [
    "%2F",
    "%2f",
    "%25",
    "%",
    "%%",
    "2",
    "2F",
    "/",
    "+",
    "%3",
    "%22",
    "%7B",
    "%41",
    "%4a",
    "%E4%BD%A0",
    "%ff",
    "你",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join), st.lists(st.sampled_from(PIECES)))
def test_long_texts_are_undone_like_short_ones(repeated: str, rest: list[str]) -> None:
    text = repeated * (2000 // len(repeated)) + "".join(rest)
    try:
        meant = unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        assert code_of(body=f"a={text}".encode()) == "IllegalCharacters"
    else:
        assert parse(body=f"a={text}".encode()).parameters == {"a": meant}


@given(
    st.lists(
        st.sampled_from(["Name", "%4eame", "Nam", "Names", "%4E%61%6D%65", "%ff"]), min_size=1, max_size=4, unique=True
    ),
    st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
)
def test_one_value_is_found_without_decoding_the_rest(names: list[str], text: str) -> None:
    encoded = "&".join(f"{name}={text}" for name in names).encode()
    found = protocol.value_in(encoded, "Name", OPTIONS)
    try:
        whole = parse(body=encoded)
    except ApiError:
        return  # given twice, or no UTF-8
    assert found == whole.parameters.get("Name")


def test_what_is_long_is_not_decoded_to_find_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    plain = protocol._decoded

    def decode(text: str) -> str:
        decoded.append(text)
        return plain(text)

    monkeypatch.setattr(protocol, "_decoded", decode)
    long = b"%41" * 100_000
    assert protocol.value_in(b"X=" + long + b"&" + long + b"=1&Name=" + long, "Name", OPTIONS) != "A"
    assert sum(map(len, decoded)) < 2000


@pytest.mark.rule("RPC-4")
def test_the_format_of_the_answer() -> None:
    assert [protocol.answer_format(asked) for asked in ({}, {"Format": "JSON"}, {"Format": "xMl"})] == [
        Format.JSON,
        Format.JSON,
        Format.XML,
    ]
    with pytest.raises(ApiError) as refused:
        protocol.answer_format({"Format": "yaml"})
    assert refused.value.code == "InvalidParameter.Format"


@given(st.binary(max_size=150), st.binary(max_size=150))
def test_any_bytes_are_read_or_refused(query: bytes, body: bytes) -> None:
    try:
        request = parse(query=query, body=body)
    except ApiError:
        return
    assert len(request.parameters) <= OPTIONS.parameter_max_count
