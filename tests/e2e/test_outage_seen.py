"""A bucket that falls silent while a file moves, and one that cannot be reached at all: how soon is it told, and is it true?"""

from __future__ import annotations

from typing import Any

import pytest

from penstock.client.signing import ClientOptions
from penstock.client.wire import Client
from penstock.errors import ApiRefusedError
from tests.e2e.test_silence import World, world
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

__all__ = ["world"]  # the fixture

NAMES = tuple(f"large{number}" for number in range(20))  # more than there are places for
KNOWN_S = 12.0  # the silence that means something, a mover's tick, and a busy machine
PATIENCE_S = 40.0


def test_an_outage_is_told_within_seconds_by_overview_list_and_detail(world: World) -> None:
    client = _client(world)

    def overview() -> dict[str, Any]:
        return client.call("DescribeOverview", {})

    def bucket() -> dict[str, Any]:
        (found,) = (one for one in overview()["Buckets"]["Bucket"] if one["Name"] == world.silent)
        return dict(found)

    flow = world.flow(world.silent, "StreamImport", names=NAMES)
    world.proxy.fall_silent_after(64 << 20)
    ids = [flow.move(f"/{name}", f"/{name}") for name in NAMES]
    wait_until(lambda: world.proxy.is_silent, PATIENCE_S, "too little was moved")
    watch = Stopwatch()
    wait_until(lambda: bucket()["Soundness"] == "bad", KNOWN_S, "nobody was told")
    print(f"known after {watch.took_s():.1f} s")
    assert watch.took_s() < KNOWN_S

    told = overview()
    assert told["Engine"]["Limit"] == {"Limiter": "bucket-silent", "About": world.silent}
    assert told["Engine"]["Moving"] == 0
    assert told["Engine"]["HeldUp"] >= 12
    away = bucket()
    assert away["RequestsUnavailable"] + away["Overdue"] > 0
    assert away["NextLookNs"] > told["NowNs"]

    def detail(sub_task: str) -> dict[str, Any]:
        asked = {"FileSystemId": flow.file_system_id, "DataFlowSubTaskId": sub_task}
        return client.call("DescribeDataFlowSubTaskDetail", asked)

    details = {one: detail(one) for one in ids}
    under_way = [one for one in details.values() if "Live" in one and "Stay" in one["Live"]]
    assert under_way
    for one in under_way:
        assert one["SubTask"]["ErrorMsg"].startswith(f"StoreUnavailable: bucket {world.silent}")
        assert one["NextTryNs"] > one["NowNs"]

    def is_of_one_mind() -> bool:
        now = overview()
        standing = now["Ledger"]["Standing"]
        waits = [one["Line"]["Before"] for one in map(detail, ids) if one["Wait"] == "large-line"]
        runs = now["Engine"]["HeldUp"] + standing["InLine"] + standing["Again"]
        return sorted(waits) == list(range(standing["InLine"])) and now["Ledger"]["Counts"]["Running"] == runs

    wait_until(is_of_one_mind, PATIENCE_S, "numbers and places in line are not of one mind")

    world.proxy.speak()
    wait_until(lambda: bucket()["Soundness"] == "well", PATIENCE_S, "it is not known to be back")
    assert overview()["Engine"]["HeldUp"] == 0

    wait_until(lambda: overview()["Ledger"]["Counts"]["Complete"] == len(NAMES), PATIENCE_S, "not all has arrived")
    answer = client.call(
        "CreateDataFlowSubTask",
        {
            "FileSystemId": flow.file_system_id,
            "DataFlowId": flow.data_flow_id,
            "DataFlowTaskId": flow.task_id,
            "SrcFilePath": f"/{NAMES[0]}",
            "DstFilePath": "/once-more",
        },
    )
    made = answer["DataFlowSubTaskId"]
    called = f"request_id={answer['RequestId']} action=CreateDataFlowSubTask task_id={flow.task_id}"
    line = f"{called} first_id={made} last_id={made} count=1"
    wait_until(
        lambda: f"INFO api.made {line}\n" in world.service.log_text(), PATIENCE_S, "no way leads to what it made"
    )
    wait_until(lambda: overview()["Ledger"]["Counts"]["Complete"] == len(NAMES) + 1, PATIENCE_S, "it has not arrived")
    world.proxy.close()  # nothing moves: nobody but a call learns of it
    (world.root / "more").mkdir()
    asked = {
        "FileSystemId": flow.file_system_id,
        "FileSystemPath": "/more/",
        "SourceStorage": f"oss://{world.silent}",
        "SourceStoragePath": "/more/",
    }
    with pytest.raises(ApiRefusedError) as refused:
        client.call("CreateDataFlow", asked)
    assert refused.value.code == "InvalidSourceStorage.Unreachable"
    away = bucket()
    assert (away["Soundness"], away["Code"]) == ("bad", "StoreUnavailable")
    assert away["Message"].startswith("a call that asked it at ")
    client.close()


def _client(world: World) -> Client:
    init = world.service.init
    return Client(
        ClientOptions(
            endpoint=world.service.api,
            access_key_id=init["access_key_id"],
            access_key_secret=init["access_key_secret"],
        )
    )
