"""Is whatever anybody may send answered, and does it break nothing?"""

from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.api.dispatch import OPERATIONS
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER
from tests.fixtures.apiserver import ApiServer
from tests.fixtures.signing import v3_headers

IDS = {"FileSystemId": FILE_SYSTEM}

NAMES = sorted(
    {name for operation in OPERATIONS.values() for parameter in operation.parameters for name in parameter.names}
)

KEYS = [name.replace(".N.", f".{number}.") for name in NAMES for number in (1, 2)]

VALUES = st.sampled_from(
    [
        "",
        "true",
        "1",
        "-1",
        "10",
        "/",
        "/a/",
        "/../",
        "oss://examplebucket",
        "Status",
        "Running",
        FILE_SYSTEM,
        "[]",
        "[",
    ]
) | st.text(st.characters(codec="utf-8"), max_size=20)

FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@FUZZ
@given(
    action=st.sampled_from(sorted(OPERATIONS)), parameters=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)
)
def test_signed_nonsense_is_answered_and_breaks_nothing(
    shared: ApiServer, action: str, parameters: dict[str, str]
) -> None:
    response = shared.ask(action, IDS | parameters)
    assert response.status < 500 or response.status == 501, response.text
    assert response.code or "RequestId" in response.body


@FUZZ
@given(
    target=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=30),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "content-type", "x-acs-action", "x-acs-date", "x-acs-signature-nonce"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    ),
    body=st.binary(max_size=60),
)
def test_unsigned_nonsense_is_refused(shared: ApiServer, target: str, headers: dict[str, str], body: bytes) -> None:
    response = shared.send("POST", f"/?{target}", {"host": shared.host, **headers}, body)
    assert 400 <= response.status < 500, response.text
    assert response.code


@FUZZ
@given(where=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_signed_request_can_be_changed(shared: ApiServer, where: int, bit: int) -> None:
    parameters = IDS | {"Filters.1.Key": "Description", "Filters.1.Value": "a b"}
    headers = v3_headers(
        parameters, action="DescribeDataFlows", nonce="bits", now_ns=shared.now_ns(), signer=shared.signer(OWNER)
    )
    target = bytearray(urlencode(parameters).encode("ascii"))
    target[where % len(target)] ^= 1 << bit
    changed = target.decode("latin-1")
    if not changed.isascii() or not changed.isprintable() or "#" in changed or " " in changed:
        return
    response = shared.send("POST", f"/?{changed}", headers)
    # `%2f` means what `%2F` means: the same request, of which the second is a replay
    assert response.code in (
        "SignatureDoesNotMatch",
        "InvalidParameter.Format",
        "IllegalCharacters",
        "SignatureNonceUsed",
        "",
    )
