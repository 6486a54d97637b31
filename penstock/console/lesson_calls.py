"""The equal call of each step of Learn, as a command and as a program with the vendor's SDK. Pure text work."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from penstock.console.example import DIRECTORY, FILE, KEY
from penstock.console.lesson import IMPORT, POLICY, Lesson
from penstock.console.snippets import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What to type once, and then at each step."""

    shell: str
    client: str
    steps: tuple[tuple[str, str], ...]  # command, program


def calls_of(lesson: Lesson, caller: Caller, home: str) -> Calls:
    """With the ids that are there by now; FLOW, TASK and SUBTASK stand for those that are not."""
    return Calls(
        shell="\n".join(f"export {name}={shlex.quote(value)}" for name, value in _environment(lesson, caller).items()),
        client=_client(caller),
        steps=(_bind(lesson), _open(lesson), _hand_over(lesson, home), _look(lesson)),
    )


def _bind(lesson: Lesson) -> tuple[str, str]:
    assert lesson.place is not None, "there is something to learn on"
    assert lesson.bucket is not None, "there is something to learn on"
    storage = f"oss://{lesson.bucket.name}"
    commands = _line("mkdir", "-p", f"{lesson.place.root.rstrip('/')}{DIRECTORY.rstrip('/')}")
    commands += _line("penstock", "flow", "create", DIRECTORY, f"{storage}{DIRECTORY}")
    arguments = {
        "file_system_id": lesson.place.file_system_id,
        "file_system_path": DIRECTORY,
        "source_storage": storage,
        "source_storage_path": DIRECTORY,
    }
    return commands, _call("create_data_flow", "CreateDataFlow", arguments, "data_flow_id")


def _open(lesson: Lesson) -> tuple[str, str]:
    command = _line("penstock", "task", "create", _flow(lesson)["data_flow_id"], "import", "--existing", "overwrite")
    arguments = {**_flow(lesson), "task_action": IMPORT, "data_type": "MetaAndData", "conflict_policy": POLICY}
    return command, _call("create_data_flow_task", "CreateDataFlowTask", arguments, "task_id")


def _hand_over(lesson: Lesson, home: str) -> tuple[str, str]:
    assert lesson.bucket is not None, "there is something to learn on"
    task = lesson.stream.id if lesson.stream is not None else "TASK"
    commands = _line("penstock", "object", "put", home, lesson.bucket.name, "hello.txt", KEY)
    commands += _line("penstock", "subtask", "create", task, FILE)
    arguments = {**_flow(lesson), "data_flow_task_id": task, "src_file_path": FILE, "dst_file_path": FILE}
    return commands, _call("create_data_flow_sub_task", "CreateDataFlowSubTask", arguments, "data_flow_sub_task_id")


def _look(lesson: Lesson) -> tuple[str, str]:
    sub_task = lesson.moved.id if lesson.moved is not None else "SUBTASK"
    return _line("penstock", "subtask", "show", sub_task), _describe(_flow(lesson)["file_system_id"], sub_task)


def _flow(lesson: Lesson) -> dict[str, str]:
    assert lesson.place is not None, "there is something to learn on"
    return {
        "file_system_id": lesson.place.file_system_id,
        "data_flow_id": lesson.flow.id if lesson.flow is not None else "FLOW",
    }


def _environment(lesson: Lesson, caller: Caller) -> dict[str, str]:
    assert lesson.place is not None
    told = {"PENSTOCK_ENDPOINT": caller.endpoint, "PENSTOCK_ACCESS_KEY_ID": caller.access_key_id}
    if caller.ca_file:
        told["PENSTOCK_CA_FILE"] = caller.ca_file
    return {**told, "PENSTOCK_ACCESS_KEY_SECRET": "…", "PENSTOCK_FILE_SYSTEM": lesson.place.file_system_id}


def _line(*words: str) -> str:
    return shlex.join(words) + "\n"


def _client(caller: Caller) -> str:
    url = urlsplit(caller.endpoint)
    lines = [
        "import os",
        "",
        "from alibabacloud_nas20170626 import models as nas",
        "from alibabacloud_nas20170626.client import Client",
        "from alibabacloud_tea_openapi.models import Config",
        "",
        "client = Client(",
        "    Config(",
        f"        access_key_id={json.dumps(caller.access_key_id)},",
        '        access_key_secret=os.environ["PENSTOCK_ACCESS_KEY_SECRET"],',
        f"        endpoint={json.dumps(url.netloc)},",
        f"        protocol={json.dumps(url.scheme.upper())},",
        *([f"        ca={json.dumps(caller.ca_file)},"] if caller.ca_file else []),
        "    )",
        ")",
        "",
    ]
    return "\n".join(lines)


def _call(method: str, model: str, arguments: dict[str, str], answered: str) -> str:
    given = "".join(f"        {name}={json.dumps(value, ensure_ascii=False)},\n" for name, value in arguments.items())
    return f"answer = client.{method}(\n    nas.{model}Request(\n{given}    )\n)\nprint(answer.body.{answered})\n"


def _describe(file_system_id: str, sub_task_id: str) -> str:
    return (
        "answer = client.describe_data_flow_sub_tasks(\n"
        "    nas.DescribeDataFlowSubTasksRequest(\n"
        f"        file_system_id={json.dumps(file_system_id)},\n"
        "        filters=[\n"
        "            nas.DescribeDataFlowSubTasksRequestFilters(\n"
        f'                key="DataFlowSubTaskIds", value={json.dumps(sub_task_id)}\n'
        "            )\n"
        "        ],\n"
        "    )\n"
        ")\n"
        "for each in answer.body.data_flow_sub_task.data_flow_sub_task:\n"
        "    print(each.status, each.progress, each.file_detail.checksum)\n"
    )
