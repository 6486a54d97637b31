"""Does the unmodified SDK run the published walkthrough against a served HOME, on each shore, over each signature?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from alibabacloud_nas20170626 import models as nas
from alibabacloud_nas20170626.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from botocore.config import Config as BotoConfig
from fastcrc import crc64

from tests.e2e.sdk import Flow, describe_page, make_client, open_flow
from tests.fixtures.ceph import CephServer
from tests.fixtures.service import RunningService, init_by_command, run_cli, start_service
from tests.fixtures.waiting import wait_until

PAYLOAD = b"<?xml version='1.0'?><note>sixty-eight bytes of example here</note>\n"
SEEN_S = 8.0  # a running service looks each second; who does not look never sees it
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shore:
    """A registered bucket with a client of its own store's kind, to look at it from outside."""

    storage: str
    bucket: str
    s3: Any  # None: through `penstock object`
    home: Path

    def put(self, key: str, body: bytes, scratch: Path) -> None:
        """Store an object as a stranger would."""
        if self.s3 is not None:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
            return
        file = scratch / "upload"
        file.write_bytes(body)
        run_cli("object", "put", str(self.home), self.bucket, str(file), key)

    def get(self, key: str, scratch: Path) -> bytes:
        """Read an object as a stranger would."""
        if self.s3 is not None:
            return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        file = scratch / "download"
        run_cli("object", "get", str(self.home), self.bucket, key, str(file))
        return file.read_bytes()


@pytest.fixture(params=["HTTP", "HTTPS"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningService]:
    """A served HOME, made as the README says."""
    home = tmp_path / "home"
    init_by_command(home, *(["--tls"] if request.param == "HTTPS" else []))
    running = start_service(home)
    yield running
    running.stop()


def ceph_shore(service: RunningService, ceph: CephServer) -> Shore:
    """A bucket on Ceph RGW, tagged and versioned, registered with the running service."""
    bucket = f"walk{os.urandom(4).hex()}"
    ceph.make_bucket(bucket, tags={"cpfs-dataflow": "true"}, versioning="Enabled")
    run_cli(
        "bucket", "add", str(service.home), bucket, "--kind", "s3", "--endpoint", ceph.endpoint, "--region", ceph.region,
        environment={"AWS_ACCESS_KEY_ID": ceph.access_key_id, "AWS_SECRET_ACCESS_KEY": ceph.access_key_secret},
    )  # fmt: skip
    client = boto3.client(
        "s3", endpoint_url=ceph.endpoint, region_name=ceph.region, aws_access_key_id=ceph.access_key_id,
        aws_secret_access_key=ceph.access_key_secret, config=BotoConfig(s3={"addressing_style": "path"}),
    )  # fmt: skip
    wait_until(lambda: is_known(service, f"s3://{bucket}"), SEEN_S, "the new bucket was not seen")
    return Shore(storage=f"s3://{bucket}", bucket=bucket, s3=client, home=service.home)


def sdk_client(service: RunningService, algorithm: str | None = None) -> Client:
    """The SDK's client for a service, over TLS with the CA that `init --tls` made."""
    ca = str(service.home / "tls" / "ca.pem") if service.api.startswith("https") else None
    return make_client(
        service.api, service.init["access_key_id"], service.init["access_key_secret"], algorithm=algorithm, ca=ca
    )


def is_known(service: RunningService, storage: str) -> bool:
    """Whether a dry run of CreateDataFlow passes on that bucket."""
    request = nas.CreateDataFlowRequest(
        file_system_id=service.init["file_system_id"],
        file_system_path="/",
        source_storage=storage,
        source_storage_path="/",
        dry_run=True,
    )
    try:
        sdk_client(service).create_data_flow(request)
    except ClientException as error:
        if error.code == "InvalidSourceStorage.NotFound":
            return False
        raise
    return True


@pytest.fixture
def embedded_shore(service: RunningService) -> Shore:
    """The bucket that `init` made."""
    name = service.init["bucket"]
    return Shore(storage=f"oss://{name}", bucket=name, s3=None, home=service.home)


def check_walkthrough(service: RunningService, shore: Shore, algorithm: str | None, scratch: Path) -> None:
    """The published pages, step by step: one import, one export; both answers compared whole."""
    client = sdk_client(service, algorithm)
    root, file_system_id = Path(service.init["root"]), service.init["file_system_id"]

    (root / "oss").mkdir()
    shore.put("bmcpfs/test/file.xml", PAYLOAD, scratch)
    importing = open_flow(
        client, file_system_id, action="StreamImport", paths=("/oss/", "/bmcpfs/"), storage=shore.storage,
        directories=("/test/", "/mnt/"),
    )  # fmt: skip
    sub_task = importing.move("/file.xml", "/mnt/file.xml")
    importing.wait(sub_task)
    assert (root / "oss/mnt/file.xml").read_bytes() == PAYLOAD
    compare_answer(importing, sub_task, source="/bmcpfs/test/file.xml", target="/oss/mnt/file.xml", payload=PAYLOAD)

    picture = os.urandom(4321)
    (root / "oss_test/yaml/test").mkdir(parents=True)
    (root / "oss_test/yaml/test/file.png").write_bytes(picture)
    os.utime(root / "oss_test/yaml/test/file.png", ns=(5, 1_721_167_603_123_456_789))
    exporting = open_flow(
        client, file_system_id, action="StreamExport", paths=("/oss_test/", "/bmcpfs_test/"), storage=shore.storage,
        directories=("/yaml/", "/dataflows/"),
    )  # fmt: skip
    sub_task = exporting.move("/test/file.png", "/mnt/file.png")
    exporting.wait(sub_task)
    assert shore.get("bmcpfs_test/dataflows/mnt/file.png", scratch) == picture
    item = compare_answer(
        exporting, sub_task, source="/oss_test/yaml/test/file.png", target="/bmcpfs_test/dataflows/mnt/file.png",
        payload=picture,
    )  # fmt: skip
    assert item["FileDetail"]["ModifyTime"] == 1_721_167_603_123_456_789


def compare_answer(flow: Flow, sub_task: str, *, source: str, target: str, payload: bytes) -> dict[str, Any]:
    """The answer of DescribeDataFlowSubTasks, whole, but for ids, times and speed."""
    body = describe_page(flow, sub_task)
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", body.pop("RequestId"))
    assert set(body) == {"DataFlowSubTask"}
    (item,) = body["DataFlowSubTask"]["DataFlowSubTask"]
    answered = dict(item)
    for name in ("CreateTime", "StartTime", "EndTime"):
        assert TIME.fullmatch(answered.pop(name))
    assert isinstance(answered["FileDetail"].pop("ModifyTime"), int)
    assert answered["ProgressStats"].pop("AverageSpeed") > 0
    assert answered == {
        "FileSystemId": flow.file_system_id,
        "DataFlowId": flow.data_flow_id,
        "DataFlowTaskId": flow.task_id,
        "DataFlowSubTaskId": sub_task,
        "SrcFilePath": source,
        "DstFilePath": target,
        "Status": "COMPLETE",
        "Progress": 10000,
        "ProgressStats": {"BytesTotal": len(payload), "BytesDone": len(payload), "ActualBytes": len(payload)},
        "FileDetail": {"Size": len(payload), "Checksum": f"crc64:{crc64.xz(payload)}"},
        "ErrorMsg": "",
    }
    return flow.describe(sub_task)


@pytest.mark.parametrize("algorithm", [None, "v2"], ids=["default-signature", "v2-signature"])
def test_the_walkthrough_runs_on_the_embedded_bucket(
    service: RunningService, embedded_shore: Shore, algorithm: str | None, tmp_path: Path
) -> None:
    check_walkthrough(service, embedded_shore, algorithm, tmp_path)


@pytest.mark.ceph
@pytest.mark.xdist_group("ceph")
@pytest.mark.parametrize("algorithm", [None, "v2"], ids=["default-signature", "v2-signature"])
def test_the_walkthrough_runs_on_ceph(
    service: RunningService, ceph: CephServer, algorithm: str | None, tmp_path: Path
) -> None:
    check_walkthrough(service, ceph_shore(service, ceph), algorithm, tmp_path)
