"""The vendor's Python SDK pointed at a running service: what a user's program does, in as few words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_nas20170626 import models as nas
from alibabacloud_nas20170626.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from tests.fixtures.waiting import wait_until

DEADLINE_S = 60.0
LIVE = frozenset({"CREATED", "RUNNING", "CANCELING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A client with one dataflow and one stream on it."""

    client: Client
    file_system_id: str
    data_flow_id: str
    task_id: str

    def move(self, source: str, target: str, **more: Any) -> str:
        """CreateDataFlowSubTask; returns its id."""
        request = nas.CreateDataFlowSubTaskRequest(
            file_system_id=self.file_system_id,
            data_flow_id=self.data_flow_id,
            data_flow_task_id=self.task_id,
            src_file_path=source,
            dst_file_path=target,
            **more,
        )
        return str(self.client.create_data_flow_sub_task(request).body.data_flow_sub_task_id)

    def cancel(self, sub_task_id: str) -> None:
        """CancelDataFlowSubTask."""
        self.client.cancel_data_flow_sub_task(
            nas.CancelDataFlowSubTaskRequest(
                file_system_id=self.file_system_id,
                data_flow_id=self.data_flow_id,
                data_flow_task_id=self.task_id,
                data_flow_sub_task_id=sub_task_id,
            )
        )

    def describe(self, sub_task_id: str) -> dict[str, Any]:
        """The one sub-task of a DescribeDataFlowSubTasks answer, as the wire's JSON."""
        body = describe_page(self, sub_task_id)
        (item,) = body["DataFlowSubTask"]["DataFlowSubTask"]
        return dict(item)

    def wait(self, sub_task_id: str) -> dict[str, Any]:
        """Describe until the sub-task is final; fails after DEADLINE_S."""

        def final() -> dict[str, Any] | None:
            item = self.describe(sub_task_id)
            return None if item["Status"] in LIVE else item

        found = wait_until(final, DEADLINE_S, f"{sub_task_id} is not final")
        assert found is not None
        return found

    def items(self) -> dict[str, dict[str, Any]]:
        """All sub-tasks of the stream by their ids, as the wire's JSON: as many as a page holds with one call."""
        found: dict[str, dict[str, Any]] = {}
        token = ""
        while True:
            request = nas.DescribeDataFlowSubTasksRequest(
                file_system_id=self.file_system_id,
                filters=[nas.DescribeDataFlowSubTasksRequestFilters(key="DataFlowTaskIds", value=self.task_id)],
                max_results=100,
                next_token=token,
            )
            body = self.client.describe_data_flow_sub_tasks(request).to_map()["body"]
            found |= {item["DataFlowSubTaskId"]: dict(item) for item in body["DataFlowSubTask"]["DataFlowSubTask"]}
            token = body.get("NextToken", "")
            if not token:
                return found


def describe_page(flow: Flow, sub_task_id: str) -> dict[str, Any]:
    """The whole DescribeDataFlowSubTasks answer for one id, as the wire's JSON."""
    request = nas.DescribeDataFlowSubTasksRequest(
        file_system_id=flow.file_system_id,
        filters=[nas.DescribeDataFlowSubTasksRequestFilters(key="DataFlowSubTaskIds", value=sub_task_id)],
    )
    return dict(flow.client.describe_data_flow_sub_tasks(request).to_map()["body"])


def make_client(
    api: str, access_key_id: str, access_key_secret: str, *, algorithm: str | None, ca: str | None
) -> Client:
    """The SDK's client; only endpoint and protocol (or CA) differ from the cloud's."""
    url = urlsplit(api)
    config = Config(
        access_key_id=access_key_id,
        access_key_secret=access_key_secret,
        endpoint=url.netloc,
        protocol=url.scheme.upper(),
    )
    if algorithm:
        config.signature_algorithm = algorithm
    if ca:
        config.ca = ca
    return Client(config)


def open_flow(
    client: Client,
    file_system_id: str,
    *,
    action: str,
    paths: tuple[str, str],
    storage: str,
    directories: tuple[str, str],
    policy: str = "OVERWRITE_EXISTING",
) -> Flow:
    """CreateDataFlow and CreateDataFlowTask; `paths` of the file system and of the bucket, `directories` of the stream."""
    created = client.create_data_flow(
        nas.CreateDataFlowRequest(
            file_system_id=file_system_id,
            file_system_path=paths[0],
            source_storage=storage,
            source_storage_path=paths[1],
        )
    )
    data_flow_id = str(created.body.data_flow_id)
    return open_stream(client, file_system_id, data_flow_id, action=action, directories=directories, policy=policy)


def open_stream(
    client: Client,
    file_system_id: str,
    data_flow_id: str,
    *,
    action: str,
    directories: tuple[str, str],
    policy: str = "OVERWRITE_EXISTING",
) -> Flow:
    """CreateDataFlowTask on a dataflow that exists."""
    created = client.create_data_flow_task(
        nas.CreateDataFlowTaskRequest(
            file_system_id=file_system_id,
            data_flow_id=data_flow_id,
            task_action=action,
            data_type="MetaAndData",
            conflict_policy=policy,
            directory=directories[0],
            dst_directory=directories[1],
        )
    )
    return Flow(
        client=client, file_system_id=file_system_id, data_flow_id=data_flow_id, task_id=str(created.body.task_id)
    )
