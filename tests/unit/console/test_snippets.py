"""Does the equal call name the same two files, however the service reads paths, and never a secret?"""

from __future__ import annotations

import ast
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api.options import PathBase
from penstock.api.paths import Ground
from penstock.console.snippets import Caller, Reading, data_flow_snippets, ends_of, sub_task_snippets, task_snippets
from penstock.model import Checksums, Condition, ConflictPolicy, TaskAction
from tests.unit.console.things import flow, sub_task, task

CALLER = Caller(endpoint="http://127.0.0.1:8680", access_key_id="PENSTOCKKEY")
NAMES = st.sampled_from(["a", "b", "test", "数据", "x y", "it's"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))
DIRECTORIES = st.lists(NAMES, max_size=3).map(lambda names: "/" + "".join(f"{name}/" for name in names))


def arguments(python: str) -> dict[str, object]:
    """The keyword arguments of the request in a program."""
    calls = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
    request = next(call for call in calls if getattr(call.func, "attr", "").endswith("Request"))
    return {
        word.arg: word.value.value if isinstance(word.value, ast.Constant) else ast.unparse(word.value)
        for word in request.keywords
        if word.arg
    }


def command(cli: str) -> list[str]:
    """The words of what is typed; a line that goes on is one line to a shell."""
    return shlex.split(cli.replace("\\\n", " "), comments=True)


def test_the_program_names_what_the_call_takes() -> None:
    found = arguments(sub_task_snippets(sub_task(), task(), flow(), CALLER).python)
    assert found == {
        "file_system_id": "bmcpfs-1",
        "data_flow_id": "df-1",
        "data_flow_task_id": "task-1",
        "src_file_path": "/file.xml",
        "dst_file_path": "/file.xml",
    }


def test_the_condition_goes_along() -> None:
    guarded = sub_task(condition=Condition(modify_time_ns=-5, size_bytes=7))
    found = sub_task_snippets(guarded, task(), flow(), CALLER)
    asked = "nas.CreateDataFlowSubTaskRequestCondition(modify_time=-5, size=7)"
    assert arguments(found.python)["condition"] == asked
    assert command(found.cli)[-4:] == ["--size", "7", "--modified", "-5"]


def test_a_task_is_opened_as_it_was() -> None:
    stream = task(action=TaskAction.STREAM_IMPORT, conflict_policy=ConflictPolicy.KEEP_LATEST)
    found = task_snippets(stream, flow(), CALLER)
    assert arguments(found.python)["task_action"] == "StreamImport"
    assert command(found.cli)[-10:] == [
        "task", "create", "df-1", "import", "--directory", "/test/", "--target-directory", "/path/",
        "--existing", "latest",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "program", "typed"),
    [
        ({"directory": "/"}, {"directory": "/"}, ["--directory", "/"]),
        (
            {"directory": "/", "includes": '["/a/", "/b c/"]'},
            {"directory": "/", "includes": '["/a/", "/b c/"]'},
            ["--directory", "/", "--include", "/a/", "--include", "/b c/"],
        ),
        (
            {"directory": "/", "entry_list": '["/数据.bin"]'},
            {"entry_list": '["/数据.bin"]'},
            ["--entry", "/数据.bin"],
        ),
        (
            {"directory": "/", "file_list_path": "/lists/", "create_dir_if_not_exist": True},
            {"transfer_file_list_path": "/lists/", "create_dir_if_not_exist": True},
            ["--lists", "/lists/"],
        ),
    ],
)
def test_a_batch_is_begun_as_it_was(chosen: dict[str, Any], program: dict[str, Any], typed: list[str]) -> None:
    found = task_snippets(task(action=TaskAction.IMPORT, **chosen), flow(), CALLER)
    said = arguments(found.python)
    ways = ("directory", "includes", "entry_list", "transfer_file_list_path", "create_dir_if_not_exist")
    assert {name: said[name] for name in ways if name in said} == program
    words = command(found.cli)
    assert words[words.index("task") :][:4] == ["task", "batch", "df-1", "import"]
    rest = ["--target-directory", "/path/", "--existing", "overwrite"]
    made = ["--create-directory"] if "create_dir_if_not_exist" in chosen else []
    assert words[words.index("task") + 4 :] == [*typed, *rest, *made]


@pytest.mark.parametrize(
    ("checksums", "typed"),
    [(Checksums.NONE, []), (Checksums.STORED, ["--checksum"]), (Checksums.READ, ["--download"])],
)
def test_a_comparison_is_asked_for_as_it_was(checksums: Checksums, typed: list[str]) -> None:
    found = task_snippets(task(action=TaskAction.COMPARE, checksums=checksums), flow(), CALLER)
    (query,) = [node for node in ast.walk(ast.parse(found.python)) if isinstance(node, ast.Dict)]
    asked = ast.literal_eval(query)
    assert (asked["TaskAction"], asked["CompareChecksum"]) == ("Compare", checksums.value)
    assert (asked["Directory"], asked["DstDirectory"]) == ("/test/", "/path/")
    words = command(found.cli)
    both = ["fs:/bmcpfs/test/", "oss://bucket/data/path/", "--flow", "df-1"]
    assert words[words.index("compare") + 1 :] == [*both, *typed]
    assert task_snippets(task(action=TaskAction.COMPARE, includes='["/a/"]'), flow(), CALLER).cli == ""


def test_tls_names_its_authority_and_no_secret_is_ever_written() -> None:
    caller = Caller(endpoint="https://[::1]:8680", access_key_id="KEY", ca_file="/srv/my home/tls/ca.pem")
    found = sub_task_snippets(sub_task(), task(), flow(), caller)
    assert 'endpoint="[::1]:8680"' in found.python
    assert 'protocol="HTTPS"' in found.python
    assert 'ca="/srv/my home/tls/ca.pem"' in found.python
    assert "PENSTOCK_CA_FILE='/srv/my home/tls/ca.pem'" in found.cli
    assert 'os.environ["PENSTOCK_ACCESS_KEY_SECRET"]' in found.python


@pytest.mark.parametrize("reading", Reading)
@given(source=PATHS, target=PATHS, directory=DIRECTORIES, target_directory=DIRECTORIES)
def test_both_lead_to_the_same_two_files(
    reading: Reading, source: str, target: str, directory: str, target_directory: str
) -> None:
    base = PathBase(reading.value)
    stream = task(directory=directory, target_directory=target_directory)
    binding = flow()
    from_there = Ground(root=binding.file_system_path, directory=directory, base=base)
    to_there = Ground(root=binding.source_storage_path, directory=target_directory, base=base)
    by_task = Ground(root=binding.file_system_path, directory=directory, base=PathBase.TASK)
    made = sub_task(source=from_there.read(source)[0], target=to_there.read(target)[0])
    caller = Caller(endpoint=CALLER.endpoint, access_key_id="KEY", reading=reading)
    found = sub_task_snippets(made, stream, binding, caller)
    said = arguments(found.python)
    assert from_there.read(str(said["src_file_path"]))[0] == made.source
    assert to_there.read(str(said["dst_file_path"]))[0] == made.target
    assert by_task.read(command(found.cli)[-2])[0] == made.source
    assert by_task.read(ends_of(made, stream, binding).source)[0] == made.source


def test_a_dataflow_of_a_fileset_is_made_again_with_what_it_needs() -> None:
    told = {
        "file_system_id": "cpfs-1",
        "file_system_path": "/set/",
        "source_storage": "oss://b",
        "source_storage_path": "/",
    }
    found = data_flow_snippets({**told, "fset_id": "fset-1", "throughput": 600}, CALLER)
    assert arguments(found.python) == {**told, "fset_id": "fset-1", "throughput": 600}
    (made,) = [line for line in found.cli.splitlines() if "flow create" in line]
    assert command(made)[-4:] == ["--fileset", "fset-1", "--throughput", "600"]
