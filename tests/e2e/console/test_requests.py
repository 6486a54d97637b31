"""The request log: what a program asked, what it was answered, what the cloud would do otherwise, live and without secrets."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from penstock.api.witness import SIGNED_MAX, UNSIGNED_MAX
from penstock.client import Client, ClientOptions, Parameter
from penstock.errors import ApiRefusedError
from tests.e2e.console.conftest import Console
from tests.fixtures.service import start_service
from tests.fixtures.visitor import Visitor


def client_of(console: Console, secret: str = "") -> Client:
    """A program of the first key's holder."""
    options = ClientOptions(
        endpoint=console.service.api,
        access_key_id=console.init["access_key_id"],
        access_key_secret=secret or console.init["access_key_secret"],
    )
    return Client(options)


def newest(visitor: Visitor, action: str) -> str:
    """The page of the newest call of that action."""
    rows = visitor.get(f"/requests?search={action}").text
    found = re.search(r'href="(/requests/\d+)"', rows)
    assert found, rows
    return visitor.get(found[1]).text


def test_calls_appear_as_they_come(console: Console, page: Page) -> None:
    page.goto(f"{console.url}/requests")
    with client_of(console) as client:
        client.call("DescribeFileSystems", {"PageSize": 7})
        row = page.get_by_role("row", name="DescribeFileSystems").first
        expect(row).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        with pytest.raises(ApiRefusedError):
            client.call("DescribeDataFlows", {"FileSystemId": "bmcpfs-nobody"})
        page.get_by_role("button", name="Go on").click()
        refused = page.get_by_role("row", name="InvalidFileSystem.NotFound")
        expect(refused).to_be_visible()
        page.get_by_role("link", name="DescribeFileSystems").first.click()
        dialog = page.get_by_role("dialog", name="DescribeFileSystems")
        expect(dialog.get_by_text("PageSize", exact=True)).to_be_visible()
        expect(dialog.get_by_text(f'"FileSystemId": "{console.init["file_system_id"]}"')).to_be_visible()


def test_a_wrong_secret_is_explained(console: Console) -> None:
    with client_of(console, "wrong-secret") as client, pytest.raises(ApiRefusedError):
        client.call("DescribeFileSystems", {})
    told = newest(console.visitor(), "SignatureDoesNotMatch")
    assert "The secret is not the one that the service has" in told
    assert "proved none" in told


@pytest.mark.parametrize(
    ("action", "parameters", "hint"),
    [
        ("DescribeDataFlows", {"FileSystemID": "x"}, "Did you mean FileSystemId?"),
        ("CreateDataFlowSubTasks", {"FileSystemId": "x"}, "An action of Penstock&#39;s own"),
        ("DescribeDataFlowSubTask", {"FileSystemId": "x"}, "the action is called DescribeDataFlowSubTasks"),
        ("CreateDataFlow", {"SourceStorage": "s3://mine", "FileSystemPath": "/"}, "The cloud knows oss:// only"),
        ("CreateSnapshot", {}, "Penstock does not have it yet"),
    ],
)
def test_what_the_cloud_would_do_is_said(console: Console, action: str, parameters: dict[str, str], hint: str) -> None:
    with client_of(console) as client, pytest.raises(ApiRefusedError):
        client.call(action, parameters)
    code_or_action = "NotImplemented" if action == "CreateSnapshot" else action
    assert hint in newest(console.visitor(), code_or_action)


def test_a_call_that_both_take_alike_has_no_hint(console: Console) -> None:
    parameters: dict[str, Parameter | None] = {
        "FileSystemId": console.init["file_system_id"],
        "Filters": [{"Key": "Status", "Value": "Running"}],
        "MaxResults": 20,
    }
    with client_of(console) as client:
        client.call("DescribeDataFlows", parameters)
    told = newest(console.visitor(), "DescribeDataFlows")
    assert "Filters.1.Key" in told
    assert 'class="hints"' not in told


def test_no_secret_is_ever_shown(console: Console) -> None:
    visitor = console.visitor()
    with client_of(console) as client:
        client.call("DescribeFileSystems", {"ClientToken": "a-token"})
    pages = visitor.get("/requests").text + newest(visitor, "DescribeFileSystems")
    assert console.init["access_key_secret"] not in pages
    assert not re.search("ACS3-HMAC|[0-9a-f]{64}", re.sub(r'name="csrf" (content|value)="\w+"', "", pages))


def test_another_key_sees_its_own_calls_only(console: Console) -> None:
    looker = console.looker()
    with client_of(console) as client:
        client.call("DescribeFileSystems", {})
    theirs = set(re.findall(r'href="(/requests/\d+)"', looker.get("/requests").text))
    mine, *_ = re.findall(r'href="(/requests/\d+)"', console.visitor().get("/requests").text)
    assert mine not in theirs
    assert looker.get(mine).status == 404
    assert theirs, "it has asked something itself, to find out whether its key is known"


def test_an_open_log_goes_on_after_a_restart(console: Console, page: Page) -> None:
    with client_of(console) as client:
        client.call("DescribeFileSystems", {"PageNumber": 3})
    page.goto(f"{console.url}/requests")
    port = console.url.rsplit(":", 1)[1]
    console.service.stop()
    again = start_service(console.service.home, extra_args=["--console-port", port])
    again.init.update(console.service.init)
    console.service = again
    with client_of(console) as client:
        client.call("DescribeFileSystems", {"PageNumber": 4})
    expect(page.get_by_text("1 new call")).to_be_attached()
    page.get_by_role("link", name="DescribeFileSystems").first.click()
    expect(page.get_by_role("dialog").get_by_text("PageNumber", exact=True)).to_be_visible()


def test_what_is_remembered_is_bounded_and_strangers_push_out_nobody(console: Console) -> None:
    visitor = console.visitor()
    with client_of(console) as client:
        client.call("DescribeFileSystems", {"PageNumber": 9})
        mine = newest(visitor, "DescribeFileSystems")
        stranger = Visitor(console.service.api)
        for _ in range(UNSIGNED_MAX + 50):
            stranger.send("GET", "/?Action=DescribeFileSystems&Version=2017-06-26", b"", {})
        assert newest(visitor, "DescribeFileSystems") == mine
        for _ in range(SIGNED_MAX):
            client.call("DescribeFileSystems", {"PageNumber": 1})
    assert "PageNumber" in newest(visitor, "DescribeFileSystems")
    assert visitor.get(re.findall(r"/requests/\d+", visitor.get("/requests").text)[0]).status == 200
