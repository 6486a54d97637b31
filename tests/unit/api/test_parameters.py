"""Does each kind of parameter take what is documented and refuse the rest with its code?"""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import filters, parameters, paths, times
from penstock.api.dispatch import OPERATIONS
from penstock.api.errors import ApiError
from penstock.api.operation import Operation
from penstock.api.parameters import CLIENT_TOKEN, DRY_RUN, FILE_SYSTEM_ID, Parameter, parse


class Word(StrEnum):
    ONE = "One"
    TWO = "Two"


COUNT: Parameter[int] = parameters.optional("Count", parameters.integer(1, 10), 5)
FLAG = parameters.optional("Flag", parameters.boolean, default=False)
CHOICE = parameters.optional("Choice", parameters.word_of(Word, code="InvalidTaskAction.NotSupported"), Word.ONE)
FILTERS = filters.filters(
    {
        "Ids": filters.ids,
        "Status": filters.words_of(Word),
        "Path": filters.one_text(10),
        "Exact": filters.exact_text(10),
        "Since": filters.minute,
    },
    max_count=3,
)


def take(parameter: Parameter[object], **wire: str) -> object:
    return parameter.take({name.replace("__", "."): value for name, value in wire.items()})


def code_of(parameter: Parameter[object], wire: dict[str, str]) -> str:
    with pytest.raises(ApiError) as refused:
        parameter.take(wire)
    return refused.value.code


@pytest.mark.rule("PARAM-1")
@pytest.mark.parametrize("wire", [{}, {"FileSystemId": ""}])
def test_a_required_parameter_has_to_be_there(wire: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        FILE_SYSTEM_ID.take(wire)
    assert (refused.value.code, refused.value.http_status) == ("MissingFileSystemId", 400)


@pytest.mark.rule("PARAM-4")
def test_an_empty_optional_parameter_is_absent() -> None:
    assert [take(COUNT, Count=""), take(FLAG), take(CHOICE, Choice="")] == [5, False, Word.ONE]


@pytest.mark.rule("RPC-3")
@pytest.mark.parametrize(("text", "meant"), [("True", True), ("false", False), ("TRUE", True), ("fAlse", False)])
def test_booleans_in_any_case(text: str, meant: bool) -> None:
    assert take(FLAG, Flag=text) is meant


@pytest.mark.rule("PARAM-2")
@pytest.mark.parametrize("text", ["0", "11", "1.0", "1e1", "٣", " 1", "+1", "0x1", "9" * 30])
def test_numbers_have_bounds_and_one_form(text: str) -> None:
    assert take(COUNT, Count="10") == 10
    assert code_of(COUNT, {"Count": text}) == "InvalidParameter.InvalidFormat"


@pytest.mark.rule("PARAM-2")
def test_words_are_taken_as_they_are_spelled() -> None:
    assert take(CHOICE, Choice="Two") is Word.TWO
    assert code_of(CHOICE, {"Choice": "two"}) == "InvalidTaskAction.NotSupported"
    assert code_of(FLAG, {"Flag": "1"}) == "InvalidParameter.InvalidFormat"


@pytest.mark.rule("PARAM-3")
@pytest.mark.parametrize("parameter", [FILE_SYSTEM_ID, CLIENT_TOKEN, parameters.NEXT_TOKEN])
def test_control_characters_are_refused(parameter: Parameter[object]) -> None:
    assert code_of(parameter, {parameter.names[0]: "a\0b"}) == "IllegalCharacters"


EVERY = [
    pytest.param(operation, name.replace(".N.", ".1."), id=f"{operation.name}-{name}")
    for operation in OPERATIONS.values()
    for parameter in operation.parameters
    for name in parameter.names
]


@pytest.mark.rule("PARAM-3")
@pytest.mark.parametrize(("operation", "name"), EVERY)
def test_control_characters_are_refused_in_every_parameter(operation: Operation, name: str) -> None:
    for wire in ({name: "a\0"}, {name: "\n"}, {name: "\x7f"}, {name: "\x9f"}, {f"{name}\0": "a"}):
        with pytest.raises(ApiError) as caught:
            parse(operation.parameters, wire)
        assert caught.value.code == "IllegalCharacters"
        assert paths.CONTROL.search(caught.value.message) is None


@pytest.mark.rule("IDEM-4")
def test_a_client_token_is_short_ascii() -> None:
    assert take(CLIENT_TOKEN, ClientToken="t" * 64) == "t" * 64
    assert code_of(CLIENT_TOKEN, {"ClientToken": "t" * 65}) == "InvalidParameter.InvalidFormat"
    assert code_of(CLIENT_TOKEN, {"ClientToken": "ü"}) == "InvalidParameter.InvalidFormat"


@pytest.mark.rule("IDEM-2")
def test_a_fingerprint_is_of_what_is_asked_for() -> None:
    declared: tuple[Parameter[object], ...] = (FILE_SYSTEM_ID, COUNT, FLAG, DRY_RUN, CLIENT_TOKEN)

    def fingerprint(action: str = "A", **wire: str) -> str:
        return parameters.fingerprint(action, declared, parameters.parse(declared, {"FileSystemId": "f", **wire}))

    same = [{}, {"Count": "5"}, {"Flag": "False"}, {"DryRun": "true"}, {"ClientToken": "t"}, {"Other": "x"}]
    assert len({fingerprint(**wire) for wire in same}) == 1
    others = [{"Count": "6"}, {"Flag": "true"}, {"FileSystemId": "g"}]
    assert len({fingerprint(), fingerprint("B"), *(fingerprint(**wire) for wire in others)}) == 5


# --------------------------------------------------------------------------------------------------------------- filters


def wire_of(*pairs: tuple[str, str]) -> dict[str, str]:
    wire = {}
    for number, (key, value) in enumerate(pairs, start=1):
        wire[f"Filters.{number}.Key"], wire[f"Filters.{number}.Value"] = key, value
    return wire


@pytest.mark.rule("FILTER-1")
def test_filters_are_read_by_key() -> None:
    asked = FILTERS.take(wire_of(("Ids", "a, b,a"), ("Path", "a,b"), ("Since", "2024-10-23T16:28Z")))
    assert asked.words("Ids") == ("a", "b")
    assert asked.text("Path") == "a,b"
    assert asked.time_ns("Since") == 1_729_700_880_000_000_000
    assert asked.words("Status") is None
    assert FILTERS.take(wire_of(("Exact", "a,b"))).words("Exact") == ("a,b",)
    assert FILTERS.take(wire_of(("Status", "Two,One"))).words("Status") == ("Two", "One")
    assert FILTERS.take({}).asked == ()


@pytest.mark.rule("FILTER-2")
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (wire_of(("Ids", "")), "InvalidFilterValue"),
        (wire_of(("Ids", ",")), "InvalidFilterValue"),
        (wire_of(("Ids", ",".join(map(str, range(11))))), "InvalidFilterValue"),
        (wire_of(("Status", "Three")), "InvalidFilterValue"),
        (wire_of(("Path", "p" * 11)), "InvalidFilterValue"),
        (wire_of(("Since", "2024-10-23")), "InvalidFilterValue"),
        (wire_of(("Nope", "a")), "InvalidFilterParam"),
        (wire_of(("", "a")), "InvalidFilterParam"),
        (wire_of(("Ids", "a"), ("Ids", "b")), "InvalidFilterParam"),
        (wire_of(("Ids", "a"), ("Path", "b"), ("Exact", "c"), ("Status", "One")), "InvalidFilterParam"),
        (wire_of(("Path", "a\0")), "IllegalCharacters"),
        ({"Filters.1.Value": "a"}, "InvalidFilterParam"),
        ({"Filters.1.Key": "Ids"}, "InvalidFilterValue"),
    ],
)
def test_filters_that_mean_nothing_are_refused(wire: dict[str, str], code: str) -> None:
    assert code_of(FILTERS, wire) == code


@pytest.mark.rule("FILTER-1")
def test_numbers_of_filters_only_order_them() -> None:
    wire = {"Filters.7.Key": "Ids", "Filters.7.Value": "a", "Filters.0.Key": "Nope", "Filters.x.Key": "Nope"}
    assert FILTERS.take(wire).words("Ids") == ("a",)


FILTER_NAMES = st.from_regex(r"\AFilters\.[0-9]{1,5}\.(Key|Value)\Z")


@given(st.dictionaries(FILTER_NAMES, st.sampled_from(["Ids", "a", "Since", ""]), max_size=9))
def test_any_filters_are_read_or_refused(wire: dict[str, str]) -> None:
    try:
        FILTERS.take(wire)
    except ApiError as refused:
        assert refused.code.startswith("InvalidFilter"), refused.code  # noqa: PT017


# ----------------------------------------------------------------------------------------------------------------- times


@pytest.mark.rule("TIME-1")
def test_times_are_written_in_two_ways() -> None:
    time_ns = 1_729_700_896_999_999_999
    assert times.utc_text(time_ns) == "2024-10-23T16:28:16Z"
    assert times.zone_text(time_ns, times.zone_named("UTC")) == "2024-10-23 16:28:16"
    assert times.zone_text(time_ns, times.zone_named("+08:00")) == "2024-10-24 00:28:16"
    assert times.zone_text(time_ns, times.zone_named("-01:30")) == "2024-10-23 14:58:16"
    assert times.zone_text(time_ns, times.zone_named("Asia/Shanghai")) == "2024-10-24 00:28:16"


@given(st.integers(0, 253_402_300_799))
def test_stamps_are_read_as_they_are_written(seconds: int) -> None:
    text = times.utc_text(seconds * 1_000_000_000)
    assert times.stamp_s(text) == seconds
    assert times.minute_ns(text) == seconds * 1_000_000_000
