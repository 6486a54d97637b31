"""Does the overview fit its terminal, and say what is wrong before what is well?"""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from penstock.cli.glance import Glance, clock_of, lines

COUNTS = {
    "Waiting": 1_234_567, "Running": 12, "Canceling": 0, "Complete": 10**9, "Failed": 3, "Canceled": 0, "Expired": 0,
    "BytesIn": 1 << 50, "BytesOut": 1 << 50,
}  # fmt: skip
DAY = {
    "SinceNs": 0,
    "Complete": 98_765_432,
    "Failed": 7,
    "Canceled": 0,
    "Expired": 0,
    "BytesIn": 1 << 50,
    "BytesOut": 5,
}
SPEED = {"BytesInPerSecond": 1 << 40, "BytesOutPerSecond": 1023 << 30, "MilliFilesPerSecond": 123_456}
PATH = "深い場所/" * 20 + "ステップ\x1b[2J.pt"


def flow(number: int) -> dict[str, Any]:
    ends = {"FileSystemPath": f"/{PATH}/", "SourceStorage": "oss://bucket", "SourceStoragePath": f"/{PATH}/"}
    return {"DataFlowId": f"df-{number}", "Status": "Misconfigured", "Counts": COUNTS, "Day": DAY, "Moving": 12, **ends}


def answer(*, flows: int = 10, moving: int = 40) -> dict[str, Any]:
    seen = {"Direction": "import", "Path": PATH, "BytesTotal": 1023 << 40, "BytesDone": 5 << 40, "Speed": 1 << 30}
    trouble = {
        "Kind": "failed-try",
        "Code": "StoreUnavailable",
        "Status": "RUNNING",
        "LastNs": 10**18,
        "SrcFilePath": PATH,
    }
    mover = {"Name": "mover-1.1", "Soundness": "well", "Small": 12, "Large": 3}
    return {
        "NowNs": 10**18,
        "Ledger": {"Counts": COUNTS, "Day": DAY},
        "DataFlows": {"DataFlow": [flow(number) for number in range(flows)]},
        "Engine": {"Moving": 15, "Speed": SPEED, "Limit": {"Limiter": "bucket-silent", "About": "examplebucket"}},
        "Buckets": {
            "Bucket": [{"Name": "good", "Soundness": "well"}, {"Name": "bad", "Soundness": "bad", "Message": PATH}]
        },
        "FileSystems": {"FileSystem": [{"FileSystemId": "bmcpfs-1", "Soundness": "unknown", "Code": ""}]},
        "Movers": {"Mover": [mover]},
        "Moving": {"SubTask": [seen] * moving},
        "Troubles": {"Trouble": [trouble, {**trouble, "Status": "FAILED", "DueNs": 10**18 + 10**9}]},
    }


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (60, 12), (100, 5)])
def test_it_fits_its_terminal(width: int, height: int) -> None:
    speeds = list(range(0, 10**9, 10**7))
    glance = Glance(
        answer=answer(), endpoint="https://penstock.lab:8680", lost="away", speeds_in=speeds, speeds_out=speeds
    )
    drawn = [line.plain for line in lines(glance, width=width, height=height)]
    assert len(drawn) <= height
    assert max(map(cell_len, drawn)) <= max(width, 80)
    assert not any("\x1b" in line for line in drawn)
    assert "connection lost, data as of 01:46:40" in drawn[0]
    if height >= 24:
        text = "\n".join(drawn)
        for words in ("DATAFLOW", "MOVING NOW", "buckets well good", "buckets bad bad:", "TROUBLES", "1,234,567"):
            assert words in text
        assert "limited by the bucket examplebucket does not answer" in text
        assert "StoreUnavailable" in text


def test_with_room_nothing_is_left_out_and_without_work_it_says_what_to_do() -> None:
    glance = Glance(answer=answer(), endpoint="http://h")
    drawn = "\n".join(line.plain for line in lines(glance, width=120, height=1000))
    assert drawn.count("Misconfigured") == 10
    assert drawn.count("深い場所/深い") >= 40
    assert "again at 01:46:41" in drawn
    idle = answer(flows=0, moving=0)
    idle.pop("Engine")
    idle["Troubles"] = {"Trouble": []}
    drawn = "\n".join(line.plain for line in lines(Glance(answer=idle, endpoint="http://h"), width=80, height=24))
    assert "penstock export FILE --to" in drawn
    assert "limited by" not in drawn
    assert "MOVING NOW" not in drawn


def test_a_limiter_that_is_not_known_is_shown_as_it_is() -> None:
    newer = answer()
    newer["Engine"]["Limit"] = {"Limiter": "moon-phase", "About": ""}
    drawn = [line.plain for line in lines(Glance(answer=newer, endpoint="http://h"), width=80, height=24)]
    assert "limited by moon-phase" in drawn


def test_the_time_of_day_is_utc() -> None:
    assert clock_of(0) == "00:00:00"
