"""What each action of the API takes as it stands, for tests that change one thing of it; ids stand in braces."""

from collections.abc import Mapping

from tests.fixtures.apicaller import FILE_SYSTEM

NUL = "/a\x00/"
NOTHING = "df-0000000000000000"
FILTER = {"Filters.1.Key": "Status", "Filters.1.Value": "no such"}
STRANGE_FILTER = {"Filters.1.Key": "Color", "Filters.1.Value": "red"}
OTHER_POLICY = {"TaskAction": "Import", "ConflictPolicy": "KEEP_LATEST"}

SYSTEM = {"FileSystemId": FILE_SYSTEM}
FLOW = {**SYSTEM, "DataFlowId": "{flow}"}
STREAM = {**FLOW, "DataFlowTaskId": "{stream}"}
USUAL: Mapping[str, dict[str, str]] = {
    "CreateDataFlow": {
        **SYSTEM,
        "FileSystemPath": "/data/",
        "SourceStorage": "oss://examplebucket",
        "SourceStoragePath": "/prefix/",
    },
    "DescribeDataFlows": SYSTEM,
    "ModifyDataFlow": FLOW,
    "StartDataFlow": FLOW,
    "StopDataFlow": FLOW,
    "DeleteDataFlow": FLOW,
    "CreateDataFlowTask": {**FLOW, "TaskAction": "StreamImport", "ConflictPolicy": "KEEP_LATEST"},
    "DescribeDataFlowTasks": SYSTEM,
    "CancelDataFlowTask": {**FLOW, "TaskId": "{stream}"},
    "CreateDataFlowSubTask": {**STREAM, "SrcFilePath": "/a", "DstFilePath": "/a"},
    "DescribeDataFlowSubTasks": SYSTEM,
    "CreateFileSystem": {"FileSystemType": "bmcpfs", "ProtocolType": "cpfs", "StorageType": "bm_advance_400"},
    "ModifyFileSystem": SYSTEM,
    "DeleteFileSystem": SYSTEM,
    "CreateFileset": {**SYSTEM, "FileSystemPath": "/data/new/"},
    "ModifyFileset": {**SYSTEM, "FsetId": "{fileset}"},
    "DeleteFileset": {**SYSTEM, "FsetId": "{fileset}"},
    "CancelDataFlowSubTask": {**STREAM, "DataFlowSubTaskId": "{file}"},
}
"""What each action takes as it stands."""
