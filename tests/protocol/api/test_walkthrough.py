"""Does the published walkthrough come out, walked with the vendor's own SDK in both of its signatures?"""

from typing import Any

import pytest
from alibabacloud_nas20170626 import models
from alibabacloud_nas20170626.client import Client

from tests.fixtures.apicaller import FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer
from tests.fixtures.enginestand import complete

SIGNATURES = pytest.mark.parametrize("config", [{}, {"signature_algorithm": "v2"}], ids=["acs3", "1.0"])


def walk(server: ApiServer, client: Client, flow: dict[str, str], task: dict[str, str], file: dict[str, str]) -> Any:
    """The four steps; the answer of the last one."""
    flow_id = client.create_data_flow(
        models.CreateDataFlowRequest(file_system_id=FILE_SYSTEM, source_storage="oss://examplebucket", **flow)
    ).body.data_flow_id
    task_id = client.create_data_flow_task(
        models.CreateDataFlowTaskRequest(
            file_system_id=FILE_SYSTEM,
            data_flow_id=flow_id,
            data_type="MetaAndData",
            conflict_policy="OVERWRITE_EXISTING",
            **task,
        )
    ).body.task_id
    sub_task_id = client.create_data_flow_sub_task(
        models.CreateDataFlowSubTaskRequest(
            file_system_id=FILE_SYSTEM, data_flow_id=flow_id, data_flow_task_id=task_id, **file
        )
    ).body.data_flow_sub_task_id
    complete(server, task_id)
    key = models.DescribeDataFlowSubTasksRequestFilters(key="DataFlowSubTaskIds", value=sub_task_id)
    answer = client.describe_data_flow_sub_tasks(
        models.DescribeDataFlowSubTasksRequest(file_system_id=FILE_SYSTEM, filters=[key])
    )
    wire = {"FileSystemId": FILE_SYSTEM, "Filters.1.Key": key.key, "Filters.1.Value": sub_task_id}
    body = server.ask("DescribeDataFlowSubTasks", wire).body
    (item,) = body["DataFlowSubTask"]["DataFlowSubTask"]
    assert item.pop("Record")["Verification"] == "crc64"  # ours: SUB-16
    assert answer.body.to_map() == body | {"RequestId": answer.body.request_id}, "the SDK reads all of the rest"
    assert (item["DataFlowId"], item["DataFlowTaskId"], item["DataFlowSubTaskId"]) == (flow_id, task_id, sub_task_id)
    return body


def without_what_differs(body: Any) -> Any:
    """The answer without ids, times, speed and the digits of the checksum."""
    (item,) = body["DataFlowSubTask"]["DataFlowSubTask"]
    for name in ("CreateTime", "StartTime", "EndTime"):
        assert len(item[name]) == len("2024-10-23 16:28:16")
        item[name] = "time"
    for name in ("DataFlowId", "DataFlowTaskId", "DataFlowSubTaskId"):
        item[name] = item[name].split("-")[0]
    item["ProgressStats"]["AverageSpeed"] = "speed"
    kind, _, digits = item["FileDetail"]["Checksum"].partition(":")
    assert digits.isdecimal()
    item["FileDetail"] |= {"Checksum": kind, "ModifyTime": "time"}
    assert len(body["RequestId"]) == 36
    body["RequestId"] = "id"
    return body


def published(source: str, target: str) -> Any:
    return {
        "RequestId": "id",
        "DataFlowSubTask": {
            "DataFlowSubTask": [
                {
                    "FileSystemId": FILE_SYSTEM,
                    "DataFlowId": "df",
                    "DataFlowTaskId": "task",
                    "DataFlowSubTaskId": "subTaskId",
                    "SrcFilePath": source,
                    "DstFilePath": target,
                    "Status": "COMPLETE",
                    "Progress": 10000,
                    "ProgressStats": {"BytesTotal": 68, "BytesDone": 68, "ActualBytes": 68, "AverageSpeed": "speed"},
                    "FileDetail": {"ModifyTime": "time", "Size": 68, "Checksum": "crc64"},
                    "ErrorMsg": "",
                    "CreateTime": "time",
                    "StartTime": "time",
                    "EndTime": "time",
                }
            ]
        },
    }


@pytest.mark.rule("SUB-12")
@pytest.mark.rule("SIG-1")
@pytest.mark.rule("SIG-2")
@SIGNATURES
def test_the_import_of_the_walkthrough(server: ApiServer, config: dict[str, Any]) -> None:
    body = walk(
        server,
        server.sdk(**config),
        {"file_system_path": "/oss/", "source_storage_path": "/bmcpfs/"},
        {"task_action": "StreamImport", "directory": "/test/", "dst_directory": "/mnt/"},
        {"src_file_path": "/file.xml", "dst_file_path": "/mnt/file.xml"},
    )
    assert without_what_differs(body) == published("/bmcpfs/test/file.xml", "/oss/mnt/file.xml")


@pytest.mark.rule("SUB-12")
@SIGNATURES
def test_the_export_of_the_walkthrough(server: ApiServer, config: dict[str, Any]) -> None:
    body = walk(
        server,
        server.sdk(**config),
        {"file_system_path": "/oss_test/", "source_storage_path": "/bmcpfs_test/"},
        {"task_action": "StreamExport", "directory": "/yaml/", "dst_directory": "/dataflows/"},
        {"src_file_path": "/test/file.png", "dst_file_path": "/mnt/file.png"},
    )
    assert without_what_differs(body) == published(
        "/oss_test/yaml/test/file.png", "/bmcpfs_test/dataflows/mnt/file.png"
    )
