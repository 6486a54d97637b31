"""Batch tasks by the vendor's SDK: create, wait, cancel, and read their reports by the links that are answered."""

from __future__ import annotations

import csv
import io
import urllib.request
from typing import Any

from alibabacloud_nas20170626 import models as nas
from alibabacloud_nas20170626.client import Client

from tests.fixtures.waiting import wait_until

DEADLINE_S = 90.0
NAP_S = 0.02
LIVE = frozenset({"Pending", "Executing", "Canceling"})

Lines = dict[str, dict[str, str]]
"""A report's lines by SrcFilePath."""


class Batches:
    """The batches of one dataflow."""

    def __init__(self, client: Client, file_system_id: str, data_flow_id: str) -> None:
        self.client = client
        self.file_system_id = file_system_id
        self.data_flow_id = data_flow_id

    @classmethod
    def on(cls, client: Client, file_system_id: str, *, path: str, storage: str, prefix: str) -> Batches:
        """On a new dataflow."""
        created = client.create_data_flow(
            nas.CreateDataFlowRequest(
                file_system_id=file_system_id,
                file_system_path=path,
                source_storage=storage,
                source_storage_path=prefix,
            )
        )
        return cls(client, file_system_id, str(created.body.data_flow_id))

    def create(self, action: str, *, policy: str = "OVERWRITE_EXISTING", **more: Any) -> str:
        """CreateDataFlowTask; its id."""
        request = nas.CreateDataFlowTaskRequest(
            file_system_id=self.file_system_id,
            data_flow_id=self.data_flow_id,
            task_action=action,
            data_type="MetaAndData",
            conflict_policy=policy,
            **more,
        )
        return str(self.client.create_data_flow_task(request).body.task_id)

    def cancel(self, task_id: str) -> None:
        """CancelDataFlowTask."""
        self.client.cancel_data_flow_task(
            nas.CancelDataFlowTaskRequest(
                file_system_id=self.file_system_id, data_flow_id=self.data_flow_id, task_id=task_id
            )
        )

    def describe(self, task_id: str, *, with_reports: bool = True) -> dict[str, Any]:
        """The one task of a DescribeDataFlowTasks answer, as the wire's JSON."""
        request = nas.DescribeDataFlowTasksRequest(
            file_system_id=self.file_system_id,
            filters=[nas.DescribeDataFlowTasksRequestFilters(key="TaskIds", value=task_id)],
            with_reports=with_reports,
        )
        (found,) = self.client.describe_data_flow_tasks(request).to_map()["body"]["TaskInfo"]["Task"]
        return dict(found)

    def wait(self, task_id: str, patience_s: float = DEADLINE_S) -> dict[str, Any]:
        """Describe until it is final."""

        def final() -> dict[str, Any] | None:
            found = self.describe(task_id)
            return None if found["Status"] in LIVE else found

        found = wait_until(final, patience_s, f"{task_id} is not final", nap_s=NAP_S)
        assert found is not None
        return found

    def run(self, action: str, **more: Any) -> dict[str, Any]:
        """Create and wait."""
        return self.wait(self.create(action, **more))


def reports(task: dict[str, Any]) -> dict[str, Lines]:
    """The lines of a task's reports by result: each file is in one of them, once, and they are counted right."""
    found: dict[str, Lines] = {"Success": {}, "Skipped": {}, "Failed": {}}
    for report in task.get("Reports", {}).get("Report", []):
        result = report["Name"].removesuffix("FilesReport")
        for line in read_report(report["Path"]):
            assert line["Result"] == result
            assert not any(line["SrcFilePath"] in lines for lines in found.values()), line
            found[result][line["SrcFilePath"]] = line
    stats = task["ProgressStats"]
    counts = {result: len(lines) for result, lines in found.items()}
    assert stats["FilesTotal"] == sum(counts.values()), (stats, counts)
    assert stats["FilesDone"] == counts["Success"] + counts["Skipped"] == task["Progress"]
    assert stats["ActualFiles"] == counts["Success"]
    sizes = {result: sum(int(line["Size"]) for line in lines.values()) for result, lines in found.items()}
    assert stats["BytesTotal"] == sum(sizes.values())
    assert stats["BytesDone"] == sizes["Success"] + sizes["Skipped"]
    assert stats["ActualBytes"] == sizes["Success"]
    return found


def read_report(link: str) -> list[dict[str, str]]:
    """What a link leads to."""
    with urllib.request.urlopen(link, timeout=30) as answer:
        assert answer.headers["content-type"] == "text/csv;charset=utf-8"
        text = answer.read().decode()
        assert int(answer.headers["content-length"]) == len(text.encode())
    return list(csv.DictReader(io.StringIO(text, newline="")))
