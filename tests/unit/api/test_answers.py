"""Are answers written as the vendor's SDKs read them?"""

import json
import os
import re
import uuid
from xml.etree import ElementTree

import pytest
from darabonba.utils.xml import XML
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import answers
from penstock.api.errors import ApiError
from penstock.api.protocol import Format


@pytest.mark.rule("RPC-5")
@given(st.binary(min_size=16, max_size=16))
def test_request_ids_are_upper_case_uuids(entropy: bytes) -> None:
    text = answers.request_id_of(entropy)
    assert re.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}", text)
    assert uuid.UUID(text).version == 4


def test_request_ids_take_each_chance_once() -> None:
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    ids = answers.RequestIds(entropy)
    assert len({ids.take() for _ in range(600)}) == 600
    assert sum(asked) >= 600 * 16


@pytest.mark.rule("RPC-4")
def test_lists_repeat_their_element_in_xml() -> None:
    fields: dict[str, answers.Json] = {
        "TaskInfo": {"Task": [{"Progress": 1, "Ok": True}, {"Progress": 2, "Ok": False}]},
        "Text": "a<&>\x00é",
    }
    text = answers.render(answers.success("DescribeDataFlowTasks", "R", fields), Format.XML).decode()
    root = ElementTree.fromstring(text)
    assert root.tag == "DescribeDataFlowTasksResponse"
    assert [task.findtext("Progress") for task in root.iterfind("TaskInfo/Task")] == ["1", "2"]
    assert [task.findtext("Ok") for task in root.iterfind("TaskInfo/Task")] == ["true", "false"]
    assert root.findtext("Text") == "a<&>\ufffdé"
    assert root.findtext("RequestId") == "R"


@pytest.mark.rule("RPC-6")
def test_refusals_have_the_vendors_shape() -> None:
    error = ApiError("Throttling.User", "Later.", retry_after_s=3)
    answer = answers.refusal(error, action="", request_id="R", host="h" * 999)
    assert answer.status == 400
    assert answer.headers == (("x-acs-retry-after", "3"),)
    body = json.loads(answers.render(answer, Format.JSON))
    assert body == {"RequestId": "R", "HostId": "h" * 255, "Code": "Throttling.User", "Message": "Later."}
    assert answers.content_type(Format.XML) == "text/xml;charset=utf-8"
    parsed = XML.parse_xml(answers.render(answer, Format.XML).decode(), None)["Error"]
    assert (parsed["Code"], parsed["RequestId"]) == ("Throttling.User", "R")


JSON = st.recursive(
    st.text(max_size=5) | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[A-Z][a-z]{0,4}\Z"), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_half_a_surrogate_pair_is_answered_as_a_question_mark() -> None:
    answer = answers.success("DescribeDataFlows", "R", {"Name": "a\ud800b"})
    assert json.loads(answers.render(answer, Format.JSON))["Name"] == "a?b"
    assert ElementTree.fromstring(answers.render(answer, Format.XML)).findtext("Name") == "a\ufffdb"


@given(st.dictionaries(st.from_regex(r"\A[A-Z][a-z]{0,4}\Z"), JSON, max_size=4))
def test_whatever_is_answered_can_be_read(fields: dict[str, answers.Json]) -> None:
    answer = answers.success("DescribeDataFlows", "R", fields)
    read = json.loads(answers.render(answer, Format.JSON))
    assert read.keys() == {"RequestId", *fields}
    ElementTree.fromstring(answers.render(answer, Format.XML))
