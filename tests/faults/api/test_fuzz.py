"""Is every action's every parameter judged, whatever stands in it?

What is refused is refused in the vendor's shape, changes nothing, and tells nothing of our insides.

Each action is called many times with what chance makes of a good call. PENSTOCK_FUZZ_SEED plays one run again, and
PENSTOCK_FUZZ_REQUESTS makes it longer.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import socket
import string
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from penstock.api.errors import STATUSES
from penstock.api.notbuilt import NOT_BUILT
from penstock.api.options import ApiOptions
from tests.faults.api.calls import ACTIONS, call_of, ledger, make_world
from tests.fixtures.apartserver import ApartServer, serving_apart
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER, READER, SLEEPER, STRANGER, Response
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.chance import seed_of
from tests.fixtures.signing import Signer, v1_parameters, v3_headers
from tests.fixtures.waiting import wait_until

SEED = seed_of("FUZZ")
REQUESTS = int(os.environ.get("PENSTOCK_FUZZ_REQUESTS", "60"))
GROWTH_MAX_BYTES = 24 << 20
FILES_MORE = 8

NASTY = [
    "",
    " ",
    "0",
    "-1",
    "+1",
    "1e9",
    "0x10",
    "1_0",
    "9" * 19,
    "9" * 400,
    "-" + "9" * 30,
    "1.5",
    "NaN",
    "true",
    "TRUE ",
    "null",
    "\0",
    "a\0b",
    "\x7f",
    "\x85",
    "\u2028",
    "\u202egnp.exe",
    "\ufeff",
    "１２",  # digits of another width
    "bmсpfs-290w65p03ok64ya0000",  # a Cyrillic letter
    "\U0001f4a9" * 50,
    "e\u0301",
    "../../etc/passwd",
    "/../",
    "/a//b/",
    "/./",
    "/" + "x" * 5000 + "/",
    "/" + "a/" * 600,
    "oss://",
    "oss://examplebucket/../second",
    "oss://user:password@examplebucket",
    "s3://s3.bucket",
    "file:///etc/passwd",
    "'; DROP TABLE sub_tasks; --",
    "%s%s%n",
    "{0.__class__}",
    "${jndi:ldap://x}",
    "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>",
    "[" * 20_000,
    '{"a":' * 5_000,
    "[" + "[]," * 3000 + "[]]",
    '[{"SrcFilePath": 5}]',
    '[{"SrcFilePath": "/a", "DstFilePath": "/a", "Condition": {"Size": 1e400}}]',
    '[{"SrcFilePath": "/\\ud800", "DstFilePath": "/a"}]',
    "AAAA" * 20,
    "x" * 10_000,
]
RAW = ["%ff", "%c0%af", "%ed%a0%80", "%", "%zz", "%00", "+", "%2B%26%3D", "a;b"]
"""Of a query: what is no UTF-8, no escape, or stands for something else."""

Mutated = dict[str, str]


def _letters(chance: random.Random) -> str:
    return "".join(
        chr(chance.choice([*range(32, 127), *range(0xA0, 0x500), 0x1F600])) for _ in range(chance.randint(1, 40))
    )


def replaced(chance: random.Random, call: Mutated) -> Mutated:
    name = chance.choice(sorted(call))
    return call | {name: chance.choice([*NASTY, _letters(chance)])}


def dropped(chance: random.Random, call: Mutated) -> Mutated:
    name = chance.choice(sorted(call))
    return {each: value for each, value in call.items() if each != name}


def renamed(chance: random.Random, call: Mutated) -> Mutated:
    name = chance.choice(sorted(call))
    other = chance.choice(
        [name.lower(), name + ".1", name + ".N", name.replace(".1", ".0"), name + " ", "." + name, name + ".99999"]
    )
    return dropped_one(call, name) | {other: call[name]}


def dropped_one(call: Mutated, name: str) -> Mutated:
    return {each: value for each, value in call.items() if each != name}


def added(chance: random.Random, call: Mutated) -> Mutated:
    name = chance.choice(
        [
            "ClientToken",
            "DryRun",
            "NextToken",
            "MaxResults",
            "Filters.2.Key",
            "Filters.1.Value",
            "Condition",
            "Format",
            "X",
            "Filters",
        ]
    )
    return call | {name: chance.choice(NASTY)}


def damaged(chance: random.Random, call: Mutated) -> Mutated:
    """One letter of one value is another."""
    name = chance.choice(sorted(call))
    value = call[name] or "x"
    place = chance.randrange(len(value))
    return call | {name: value[:place] + chance.choice([*string.printable, "é", "\0"]) + value[place + 1 :]}


MUTATIONS: list[Callable[[random.Random, Mutated], Mutated]] = [replaced, replaced, damaged, dropped, renamed, added]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One for all actions: what grows would be seen."""
    with serving(tmp_path_factory.mktemp("fuzzed"), ApiOptions(data_flows_max=1000)) as serving_all:
        yield serving_all


def judge(server: ApiServer, response: Response, what: str) -> bool:
    """Whether it was carried out; fails where the answer is not one of the vendor's, or tells too much."""
    told = f"{what}: {response.status} {response.text[:600]}"
    assert response.headers["x-acs-request-id"] in response.text or not response.text, told
    text = response.text.replace(
        str(server.home / "root"), "ROOT"
    )  # a command for who may create it names the directory
    for secret in (OWNER.secret, READER.secret, str(server.home), "Traceback", "sqlite", "penstock/"):
        assert secret not in text, told
    if response.status == 200:
        return True
    if not response.text:
        return False  # to a HEAD
    if response.headers["content-type"].startswith("text/xml"):
        root = ElementTree.fromstring(response.text)
        code, names = root.findtext("Code") or "", {child.tag for child in root}
    else:
        code, names = response.code, set(response.body)
    assert names == {"RequestId", "HostId", "Code", "Message"}, told
    assert response.status == (400 if code.startswith("Missing") else STATUSES[code]), told
    assert code not in {"InternalError", "ServiceUnavailable"}, told
    return False


def target_of(query: Mutated, raw: str = "") -> str:
    return "/?" + "&".join(
        [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items()] + [raw] * bool(raw)
    )


def asked(server: ApiServer, chance: random.Random, action: str, call: Mutated) -> Response:
    """The call, in one of the ways in which it can be made."""
    way = chance.random()
    if way < 0.2:
        return server.ask_older(action, call, method=chance.choice(["GET", "POST"]))
    if way < 0.5:
        return server.ask_form(action, call)
    return sent(server, action, call)


def sent(server: ApiServer, action: str, call: Mutated, raw: str = "", **changes: str) -> Response:
    """In the query, with a current signature that `changes` are part of, and `raw` is not."""
    headers = v3_headers(
        call,
        action=action,
        nonce=server.nonce(),
        now_ns=server.now_ns(),
        signer=server.signer(OWNER),
        changes={name.replace("_", "-"): value for name, value in changes.items()},
    )
    return server.send("POST", target_of(call, raw), headers)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_chance_makes_of_a_good_call(server: ApiServer, action: str) -> None:
    print(f"PENSTOCK_FUZZ_SEED={SEED}")
    chance = random.Random(f"{SEED} {action}")
    number = 100 * ACTIONS.index(action)
    call = call_of(action, make_world(server, number))
    assert server.ask(action, call).status == 200, "what is mutated has to be good"
    before, refused = ledger(server), 0
    for _ in range(REQUESTS):
        mutated = dict(call)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            mutated = chance.choice(MUTATIONS)(chance, mutated) if mutated else dict(call)
        if judge(server, asked(server, chance, action, mutated), f"{action} {str(mutated)[:300]}"):
            before = ledger(server)  # some mutations mean something
            continue
        refused += 1
        assert ledger(server) == before, f"a refused call changed something: {action} {mutated}"
    assert refused > REQUESTS // 5
    assert server.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM}).status == 200


def wrong_ways(server: ApiServer, action: str, call: Mutated) -> Iterator[tuple[str, Response]]:
    """The good call, made so that it must not be carried out."""
    now_ns, good = server.now_ns(), server.signer(OWNER)

    def headers(nonce: str = "", signer: Signer = good, **changes: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in changes.items()}
        return v3_headers(
            call, action=action, nonce=nonce or server.nonce(), now_ns=now_ns, signer=signer, changes=named
        )

    target = target_of(call)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        yield method, server.send(method, target, headers())
    for path in ("/x", "//", "/%2e%2e/", "/;a", "/."):
        yield path, server.send("POST", path + target[1:], headers())
    for raw in RAW:
        yield raw, server.send("POST", f"{target}&X={raw}", headers())
    for name in list(call)[:3]:
        yield f"{name} twice", server.send("POST", f"{target}&{name}={quote(call[name])}", headers())
    for date in (
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "２０２６-01-01T00:00:00Z",
    ):
        yield (
            f"date {date}",
            server.send("POST", target, {**headers(), "x-acs-date": date.encode("utf-8").decode("latin-1")}),
        )
        yield (
            f"signed date {date}",
            server.send("POST", target, headers(x_acs_date=date.encode("utf-8").decode("latin-1"))),
        )
    for nonce in ("", " ", "n" * 129, "n" * 20_000, "\x7f"):
        yield f"nonce {nonce[:9]!r}", server.send("POST", target, {**headers(), "x-acs-signature-nonce": nonce})
    for version in ("", "2014-05-26", "2017-06-26 ", "v" * 1000):
        yield f"version {version[:9]}", server.send("POST", target, headers(x_acs_version=version + "!"))
    for key in (SLEEPER, STRANGER):
        yield key.access_key_id, server.send("POST", target, headers(signer=server.signer(key)))
    yield (
        "another's secret",
        server.send("POST", target, headers(signer=Signer(key_id=OWNER.access_key_id, secret="x", host=server.host))),
    )
    signed = headers()["Authorization"]
    for wrong in (
        "",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SM3 " + signed.partition(" ")[2],
        "Bearer " + signed,
        signed[:-1],
        signed[:-1] + ("0" if signed[-1] != "0" else "1"),
        signed.upper(),
        signed.replace("host;", ""),
        signed.replace("SignedHeaders=", "SignedHeaders=host;"),
        signed.replace("Signature=", "Signature=="),
        signed.replace("Credential=", "Credential=\xa0"),
        signed + "," + signed,
        "ACS3-HMAC-SHA256 " + "," * 5000,
    ):
        yield f"authorization {wrong[:60]}", server.send("POST", target, {**headers(), "Authorization": wrong})
    older = v1_parameters(call, action=action, nonce=server.nonce(), now_ns=now_ns, signer=good)
    for name, value in (
        ("Signature", "AAAA"),
        ("Signature", "é"),
        ("SignatureMethod", "none"),
        ("SignatureVersion", "9"),
        ("Timestamp", "0"),
        ("AccessKeyId", "\u202e"),
    ):
        yield f"older {name}", server.send("POST", target_of(older | {name: value}), {"host": server.host})


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_not_signed_as_it_should_be_is_never_carried_out(server: ApiServer, action: str) -> None:
    call = call_of(action, make_world(server, 100 * ACTIONS.index(action) + 1))
    before = ledger(server)
    for what, response in wrong_ways(server, action, call | {"DryRun": "false"}):
        assert not judge(server, response, f"{action}: {what}"), f"{action} was carried out: {what}"
        assert ledger(server) == before, f"{action}: {what}"
    target, headers = (
        target_of(call),
        v3_headers(call, action=action, nonce=server.nonce(), now_ns=server.now_ns(), signer=server.signer(OWNER)),
    )
    assert server.send("POST", target, headers).status == 200, "what is made wrong has to be good"
    before = ledger(server)
    assert not judge(server, server.send("POST", target, headers), f"{action}: once more")
    assert ledger(server) == before, f"{action}: once more"


def test_actions_that_are_not_built_or_are_none(server: ApiServer) -> None:
    before = ledger(server)
    for action in [
        *sorted(NOT_BUILT),
        *(name.lower() for name in ACTIONS),
        "x" * 5000,
        "__class__",
        "DescribeDataFlows\xa0",
    ]:
        assert not judge(server, sent(server, action, {"FileSystemId": FILE_SYSTEM}), action)
    assert ledger(server) == before


def exchanged(server: ApiServer, message: bytes) -> bytes:
    """All that comes back for these bytes; the caller says no more."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection, suppress(ConnectionError):
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return b""


def answers_in(told: bytes) -> list[bytes]:
    """The heads of the answers in it; fails where one is not whole."""
    heads: list[bytes] = []
    while told:
        head, blank, rest = told.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert blank, told
        assert length, told
        assert len(rest) >= int(length[1]), told
        heads.append(head)
        told = rest[int(length[1]) :]
    return heads


def test_a_message_with_bytes_changed_lost_or_doubled(server: ApiServer) -> None:
    """As it stands on the wire: every answer is whole, and none says that the service failed."""
    print(f"PENSTOCK_FUZZ_SEED={SEED}")
    chance = random.Random(SEED)
    world = make_world(server, 99_000)
    before, heard = ledger(server), 0
    for _ in range(4 * REQUESTS):
        call = call_of("StopDataFlow", world) | {"DryRun": "false"}
        headers = v3_headers(
            call, action="StopDataFlow", nonce=server.nonce(), now_ns=server.now_ns(), signer=server.signer(OWNER)
        )
        said = {**headers, "content-length": "0"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        message = bytearray(f"POST {target_of(call)} HTTP/1.1\r\n{lines}\r\n".encode())
        place, length = chance.randrange(len(message)), chance.choice([1, 1, 1, 7, 60])
        how = chance.choice(["change", "lose", "double", "end"])
        if how == "change":
            message[place : place + length] = chance.randbytes(length)
        elif how == "lose":
            del message[place : place + length]
        elif how == "double":
            message[place:place] = message[place : place + length]
        else:
            del message[place:]
        answers = answers_in(exchanged(server, bytes(message)))
        heard += bool(answers)
        assert not any(answer.startswith(b"HTTP/1.1 5") for answer in answers), (bytes(message), answers)
        if any(answer.startswith(b"HTTP/1.1 200") for answer in answers):  # a header neither signed nor looked at
            server.ask("StartDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": world.flow})
            before = ledger(server)
        assert ledger(server) == before, bytes(message)
    assert heard > 2 * REQUESTS, "most are answered"


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[ApartServer]:
    """In a process that does nothing else."""
    with serving_apart(tmp_path, ApiOptions()) as server:
        yield server


def test_nothing_grows(apart: ApartServer) -> None:
    """Over refusals of what is signed and of what is not: memory and descriptors stay what they were."""
    world = make_world(apart, 99_500)

    def refused(connection: http.client.HTTPConnection, call: Mutated, headers: Mapping[str, str]) -> None:
        connection.request("POST", target_of(call), headers=dict(headers))
        answer = connection.getresponse()
        assert answer.status >= 400
        json.loads(answer.read())

    def round_of_refusals(number: int) -> None:
        chance = random.Random(f"{SEED} {number}")
        with closing(http.client.HTTPConnection("127.0.0.1", apart.port, timeout=30)) as connection:
            for action in ACTIONS * 4:
                call = replaced(chance, call_of(action, world))
                refused(connection, call, {"host": apart.host, "x-acs-action": action})
                strange = call_of(action, world) | {"FileSystemId": "bmcpfs-none", "FileSystemType": "none"}
                signer = apart.signer(OWNER)
                signed = v3_headers(strange, action=action, nonce=apart.nonce(), now_ns=time.time_ns(), signer=signer)
                refused(connection, strange, signed)

    for number in range(5):
        round_of_refusals(number)
    before = apart.figures()
    for number in range(20):
        round_of_refusals(number)
    wait_until(lambda: apart.figures().files <= before.files + FILES_MORE, 30, "descriptors were not given back")
    assert apart.figures().resident_bytes - before.resident_bytes < GROWTH_MAX_BYTES
