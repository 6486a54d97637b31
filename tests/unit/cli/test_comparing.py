"""Does `compare` choose the dataflow that is meant, and end with the code that tells?"""

from __future__ import annotations

from typing import Any

import click
import pytest

from penstock.cli.comparing import counts_of, exit_code_of, found_way
from penstock.cli.failure import ExitCode
from penstock.client import FlowFacts
from penstock.errors import SettingsError


def flow(number: int, path: str, prefix: str, bucket: str = "b") -> FlowFacts:
    return FlowFacts(flow_id=f"df-{number}", path=path, storage=f"oss://{bucket}", prefix=prefix, status="Running")


FLOWS = (flow(1, "/", "/all/"), flow(2, "/a/", "/far/"), flow(3, "/a/", "/far/deep/"), flow(4, "/c/", "/x/"))
TWINS = (*FLOWS, flow(5, "/c/", "/x/", "other"))


@pytest.mark.parametrize(
    ("directory", "storage", "flow_id", "expected"),
    [
        ("/a/b/", None, None, ("df-3", "/b/", "/b/")),
        ("/a/b/", "oss://b/far/", None, ("df-2", "/b/", "/")),
        ("/a/", "oss://b/far/deep/er", None, ("df-3", "/", "/er/")),
        ("/a/", "oss://b/all/one/", None, ("df-1", "/a/", "/one/")),
        ("/z/", None, None, ("df-1", "/z/", "/z/")),
        ("/a/b/", None, "df-1", ("df-1", "/a/b/", "/a/b/")),
    ],
)
def test_the_narrowest_dataflow_that_holds_both_is_used(
    directory: str, storage: str | None, flow_id: str | None, expected: tuple[str, ...]
) -> None:
    way = found_way(FLOWS, directory, storage, flow_id)
    assert (way.flow.flow_id, way.directory, way.target_directory) == expected


def test_what_is_not_held_or_not_clear_is_said() -> None:
    with pytest.raises(SettingsError, match="penstock flow create /a/ oss://none/x/"):
        found_way(FLOWS, "/a/", "oss://none/x/", None)
    with pytest.raises(SettingsError, match="no dataflow df-4 holds /a/"):
        found_way(FLOWS, "/a/", None, "df-4")
    with pytest.raises(SettingsError, match=r"say STORAGE, or --flow ID; there are df-4 .* df-5"):
        found_way(TWINS, "/c/", None, None)
    assert found_way(TWINS, "/c/", "oss://other/x/", None).flow.flow_id == "df-5"
    with pytest.raises(click.UsageError, match="STORAGE"):
        found_way(FLOWS, "/a/", "nonsense", None)


@pytest.mark.parametrize(
    ("found", "status", "code", "words"),
    [
        ({}, "Completed", ExitCode.DONE, "0 same"),
        ({"Same": 1200, "Skipped": 1}, "Completed", ExitCode.DONE, "1,200 same, 1 skipped (no files)"),
        ({"Same": 2, "Differs": 1}, "Completed", ExitCode.FAILED, "2 same, 1 differ"),
        ({"OnlyInBucket": 1}, "Completed", ExitCode.FAILED, "0 same, 1 only in the bucket"),
        ({"OnlyInFileSystem": 1}, "Completed", ExitCode.FAILED, "0 same, 1 only in the file system"),
        ({"Failed": 1}, "Completed", ExitCode.FAILED, "0 same, 1 could not be compared"),
        ({"Same": 2}, "Failed", ExitCode.FAILED, "2 same"),
        ({"Same": 2}, "Canceled", ExitCode.FAILED, "2 same"),
    ],
)
def test_zero_is_only_for_what_is_the_same(found: dict[str, int], status: str, code: ExitCode, words: str) -> None:
    names = ("Same", "Differs", "OnlyInFileSystem", "OnlyInBucket", "Skipped", "Failed")
    task: dict[str, Any] = {"Status": status, "CompareStats": dict.fromkeys(names, 0) | found}
    assert (exit_code_of(task), counts_of(task)) == (code, words)
