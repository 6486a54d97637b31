"""Does the client write its form so that any parser reads it back, cut pages that a call takes, and sort the results?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from alibabacloud_tea_openapi.utils import Utils
from hypothesis import given
from hypothesis import strategies as st

from penstock.client import (
    ALGORITHM,
    BULK_FILES_MAX,
    BULK_FORM_MAX_BYTES,
    FORM_TYPE,
    Client,
    ClientOptions,
    Created,
    FileToMove,
    bulk_entry,
    bulk_pages,
    form_body,
)
from penstock.client.answers import Answered
from penstock.client.bulk import file_of
from penstock.client.signing import Written
from penstock.errors import ApiUnreachableError

TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@given(TEXTS, TEXTS)
def test_a_form_is_read_back_as_it_was_meant(source: str, target: str) -> None:
    text = bulk_entry(FileToMove(source=source, target=target, size_bytes=0))
    read = dict(parse_qsl(form_body({"SubTasks": text, "A b": "1+1=2&3%"}).decode("ascii"), strict_parsing=True))
    assert read["A b"] == "1+1=2&3%"
    assert json.loads(read["SubTasks"]) == {
        "SrcFilePath": f"/{source.lstrip('/')}",
        "DstFilePath": f"/{target.lstrip('/')}",
        "Condition": {"Size": "0"},
    }


def test_pages_are_cut_by_count_and_by_size_and_nothing_is_lost() -> None:
    short = [FileToMove(source=f"{number}", target=f"{number}") for number in range(2 * BULK_FILES_MAX + 1)]
    assert [len(page) for page in bulk_pages(short)] == [BULK_FILES_MAX, BULK_FILES_MAX, 1]
    wide = [FileToMove(source=f"{number}" + "日" * 1000, target="%" * 1000) for number in range(1500)]
    pages = list(bulk_pages(wide))
    assert len(pages) > 2
    assert [file for page in pages for file in page] == wide
    for page in pages:
        assert len(form_body({"SubTasks": f"[{','.join(map(bulk_entry, page))}]"})) <= BULK_FORM_MAX_BYTES + 100
    assert list(bulk_pages([])) == []


class Recording(Client):
    """A client whose other side is a word."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(ClientOptions(endpoint="http://host:1", access_key_id="AK", access_key_secret="SK"))
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    def _exchange(self, sent: Written) -> Answered:
        self.asked.append((sent.target, dict(sent.headers), sent.body))
        return Answered(status=200, body=json.dumps(self.answer).encode())


def ask(client: Client, count: int) -> list[Created]:
    files = [FileToMove(source=f"a {number}", target="b", modify_time_ns=-1) for number in range(count)]
    return client.create_sub_tasks(files, file_system_id="fs", data_flow_id="df", task_id="t", client_token="x")


def test_results_come_in_order_and_the_form_is_signed_as_the_vendor_signs_it() -> None:
    found = [{"DataFlowSubTaskId": "s-1"}, {"Code": "C", "Message": "M"}, {"DataFlowSubTaskId": ""}]
    client = Recording({"RefusedCount": 1, "DataFlowSubTask": {"DataFlowSubTask": found}})
    assert ask(client, 3) == [Created(sub_task_id="s-1"), Created(code="C", message="M"), Created()]
    ((target, headers, form),) = client.asked
    query = dict(parse_qsl(urlsplit(target).query, strict_parsing=True))
    assert query == {
        "FileSystemId": "fs", "DataFlowId": "df", "DataFlowTaskId": "t", "PathBase": "task", "ClientToken": "x",
    }  # fmt: skip
    assert headers["content-type"] == FORM_TYPE
    assert headers["x-acs-content-sha256"] == hashlib.sha256(form).hexdigest()
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = SimpleNamespace(
        method="POST", pathname="/", query=query, headers={name: headers[name] for name in signed}
    )
    expected = Utils.get_authorization(request, ALGORITHM, headers["x-acs-content-sha256"], "AK", "SK")
    assert headers["authorization"].replace(" ", "") == expected.replace(" ", "")


def test_an_answer_that_does_not_fit_is_no_answer() -> None:
    client = Recording({"DataFlowSubTask": {"DataFlowSubTask": [{"DataFlowSubTaskId": "s-1"}]}})
    with pytest.raises(ApiUnreachableError, match="1 results for 2 files"):
        ask(client, 2)


def test_names_are_also_taken_as_the_system_has_them() -> None:
    assert file_of(b"a\xff", Path("b")) == FileToMove(source="a\udcff", target="b")
