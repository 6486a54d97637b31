"""Are long requests read for those whose key is ours only, and in turns where only reading tells whose they are?"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace as replace_struct

from penstock.api import protocol, signature
from penstock.api.callers import Callers
from penstock.api.errors import ApiError
from penstock.api.operation import Desk
from penstock.api.options import ApiOptions
from penstock.api.protocol import Head, Request
from penstock.model import AccessKey, Registry
from tests.fixtures.signing import NOW_NS, SIGNER, v1_parameters, v3_headers

pytestmark = pytest.mark.anyio

KEYS = {SIGNER.key_id: AccessKey(access_key_id=SIGNER.key_id, secret=SIGNER.secret)}
OPTIONS = ApiOptions(unnamed_max_bytes=1000, older_at_once_max_bytes=2000, older_waiting_max=2)
SHORT, LONG, LONGER = 500, 1500, 2500
PATIENCE_S = 20


class Reading:
    """How many requests were decoded, each of which takes so long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.takes_s = 0.0
        plain = protocol.parse_request

        def parse_request(head: Head, body: bytes, options: ApiOptions) -> Request:
            self.count += 1
            until_s = time.monotonic() + self.takes_s
            while time.monotonic() < until_s:
                pass
            return plain(head, body, options)

        monkeypatch.setattr(protocol, "parse_request", parse_request)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


@pytest.fixture
def callers() -> Callers:
    desk = SimpleNamespace(options=OPTIONS, registry=lambda: Registry(file_systems={}, buckets={}, access_keys=KEYS))
    return Callers(cast("Desk", desk), now_ns=lambda: NOW_NS)


def older(size_bytes: int, key_id: str = SIGNER.key_id) -> tuple[Head, bytes]:
    """In Signature 1.0, as a form."""
    signed = v1_parameters({"X": ""}, signer=replace(SIGNER, key_id=key_id))
    signed = v1_parameters({"X": "x" * (size_bytes - len(urlencode(signed)))}, signer=replace(SIGNER, key_id=key_id))
    return Head(method="POST", query_string=b"", headers={"host": "nas.example"}), urlencode(signed).encode()


def v3(size_bytes: int, key_id: str = SIGNER.key_id) -> tuple[Head, bytes]:
    """In the current signature."""
    body = b"X=".ljust(size_bytes, b"x")
    headers = v3_headers({}, body, signer=replace(SIGNER, key_id=key_id))
    lowered = {name.lower(): value for name, value in headers.items()}
    return Head(method="POST", query_string=b"", headers=lowered), body


async def code_of(callers: Callers, head: Head, body: bytes) -> str:
    with pytest.raises(ApiError) as refused:
        await callers.heard(head, body)
    return refused.value.code


@pytest.mark.rule("SIG-9")
@pytest.mark.parametrize("make", [older, v3])
async def test_of_a_long_request_it_is_looked_first_whose_key_it_names(
    callers: Callers, reading: Reading, make: Callable[..., tuple[Head, bytes]]
) -> None:
    assert await code_of(callers, *make(LONG, key_id="nobody")) == "InvalidAccessKeyId.NotFound"
    assert await code_of(callers, Head(method="POST", query_string=b"", headers={}), b"X=".ljust(LONG)) == (
        "IncompleteSignature"
    )
    nameless = older(LONG)[1].replace(b"AccessKeyId", b"AccessKeyIt")
    assert await code_of(callers, older(LONG)[0], nameless) == "MissingAccessKeyId"
    assert reading.count == 0
    heard = await callers.heard(*make(LONG))
    assert heard.key.access_key_id == SIGNER.key_id
    assert await code_of(callers, *make(SHORT, key_id="nobody")) == "InvalidAccessKeyId.NotFound"
    assert reading.count == 2


@pytest.mark.rule("SIG-2")
async def test_what_only_reading_tells_is_read_all_the_same(callers: Callers) -> None:
    heard = await callers.heard(*older(LONGER))
    assert (heard.operation.name, heard.request.parameters["Action"]) == ("DescribeDataFlows", "DescribeDataFlows")
    head, body = older(LONGER)
    assert await code_of(callers, head, body.replace(b"xxx", b"xxy", 1)) == "SignatureDoesNotMatch"


async def test_it_is_read_in_turns_with_rests_and_few_wait_for_that(callers: Callers, reading: Reading) -> None:
    reading.takes_s = 0.01
    asked = [asyncio.ensure_future(callers.heard(*older(LONGER))) for _ in range(4)]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
    assert (done, waiting) == ({asked[0], asked[3]}, {asked[1], asked[2]})
    assert asked[0].exception() is None
    refusal = asked[3].exception()
    assert isinstance(refusal, ApiError)
    assert (refusal.code, refusal.retry_after_s) == ("ServiceUnavailable", 1)
    began_s = time.monotonic()
    for make in (older(LONG), v3(LONGER)):
        await callers.heard(*make)  # waits for nobody's turn
    assert reading.count == 3
    assert len(await asyncio.gather(*waiting)) == 2
    assert reading.count == 5
    assert time.monotonic() - began_s >= 0.06, "no rests were taken"
    assert (await callers.heard(*older(LONGER))).key.access_key_id == SIGNER.key_id


@pytest.mark.rule("SIG-5")
async def test_a_long_body_is_hashed_for_those_who_signed_its_head(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []

    def sha256(data: bytes) -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr(signature, "hashlib", SimpleNamespace(sha256=sha256))
    size_bytes = OPTIONS.believed_body_max_bytes + 1
    head, body = v3(size_bytes)
    await callers.heard(head, body)
    assert hashed.count(size_bytes) == 1
    assert await code_of(callers, head, body[:-1] + b"y") == "SignatureDoesNotMatch"
    assert hashed.count(size_bytes) == 2
    guessed = {**head.headers, "authorization": head.headers["authorization"][:-1] + "?"}
    assert await code_of(callers, replace_struct(head, headers=guessed), body) == "SignatureDoesNotMatch"
    assert hashed.count(size_bytes) == 2
