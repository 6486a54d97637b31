"""The bulk door of a server with one open stream, and short words for what is brought to it and what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.fixtures.apicaller import FILE_SYSTEM, Response
from tests.fixtures.apiserver import ApiServer

ACTION = "CreateDataFlowSubTasks"

Entry = dict[str, Any]


def entry(source: object = "/a", target: object = "/a", **more: object) -> Entry:
    return {"SrcFilePath": source, "DstFilePath": target, **more}


def entries(count: int, stem: str = "") -> list[Entry]:
    return [entry(f"/{stem}{number:04}", f"/{stem}{number:04}") for number in range(count)]


class Door:
    """A server with one open stream, Directory `/test/`, DstDirectory `/mnt/`, and its bulk door."""

    def __init__(self, server: ApiServer, **changes: str) -> None:
        self.server = server
        self.flow = server.make_flow()
        self.task = server.make_stream(self.flow, **{"Directory": "/test/", "DstDirectory": "/mnt/", **changes})
        self.ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": self.flow, "DataFlowTaskId": self.task}

    def send(self, given: object, **changes: str) -> Response:
        text = given if isinstance(given, str) else json.dumps(given)
        return self.server.ask_form(ACTION, {**self.ids, "SubTasks": text, **changes})

    def results(self, given: object, **changes: str) -> list[dict[str, str]]:
        """What became of each entry."""
        response = self.send(given, **changes)
        assert response.status == 200, response.text
        return results(response)

    def one(self, given: Entry) -> Response:
        """The same file through the vendor's call."""
        condition = {f"Condition.{name}": str(value) for name, value in given.get("Condition", {}).items()}
        wire = {**self.ids, "SrcFilePath": given["SrcFilePath"], "DstFilePath": given["DstFilePath"], **condition}
        return self.server.ask("CreateDataFlowSubTask", wire)

    def found(self) -> list[dict[str, Any]]:
        """All sub-tasks of the stream, newest first."""
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            filters = {"Filters.1.Key": "DataFlowTaskIds", "Filters.1.Value": self.task}
            wire = {"FileSystemId": FILE_SYSTEM, "MaxResults": "100", "NextToken": token, **filters}
            body = self.server.ask("DescribeDataFlowSubTasks", wire).body
            items += body["DataFlowSubTask"]["DataFlowSubTask"]
            token = body.get("NextToken", "")
            if not token:
                return items

    def refused(self, status: int, code: str, given: object, **changes: str) -> str:
        """The whole call is refused with this, and nothing was accepted."""
        before = self.found()
        response = self.send(given, **changes)
        assert (response.status, response.code) == (status, code), response.text
        assert self.found() == before
        return str(response.body["Message"])


def results(response: Response) -> list[dict[str, str]]:
    found: list[dict[str, str]] = response.body["DataFlowSubTask"]["DataFlowSubTask"]
    assert response.body["RefusedCount"] == sum("Code" in result for result in found)
    assert all(set(result) in ({"DataFlowSubTaskId"}, {"Code", "Message"}) for result in found)
    return found


def ids_of(found: Sequence[Mapping[str, str]]) -> list[str]:
    return [result["DataFlowSubTaskId"] for result in found]


def narrow(server: ApiServer, waiting_max: int) -> None:
    server.bounds = replace(server.bounds, waiting_max=waiting_max)
    server.restart()
