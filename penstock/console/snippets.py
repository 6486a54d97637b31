"""The equal call: what would have made a task or a sub-task, as a program with the vendor's SDK and as a command.

Pure text work. Secrets never stand in it: both read PENSTOCK_ACCESS_KEY_SECRET from the environment.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from penstock.model import (
    STREAM_ACTIONS,
    Checksums,
    Condition,
    ConflictPolicy,
    DataFlow,
    Direction,
    SubTask,
    Task,
    TaskAction,
)

_EXISTING = {
    ConflictPolicy.SKIP_THE_FILE: "skip",
    ConflictPolicy.KEEP_LATEST: "latest",
    ConflictPolicy.OVERWRITE_EXISTING: "overwrite",
}
_LOOKING_INTO: Mapping[Checksums, list[str]] = {
    Checksums.NONE: [],
    Checksums.STORED: ["--checksum"],
    Checksums.READ: ["--download"],
}
_DIRECTIONS = {TaskAction.STREAM_IMPORT: "import", TaskAction.STREAM_EXPORT: "export"}

LINE_CHARACTERS = 76
"""A command that is longer than this is broken."""

Argument = str | int | bool | Mapping[str, int]


class Reading(StrEnum):
    """How the service reads a sub-task's paths (`subtask_path_base`)."""

    WALKTHROUGH = "walkthrough"
    TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and where: the API's URL, a key's id, the file that verifies TLS ("" = the system's), how paths are read."""

    endpoint: str
    access_key_id: str
    ca_file: str = ""
    reading: Reading = Reading.WALKTHROUGH


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippets:
    """One call, written twice; `cli` is empty where no command asks for the same: a Compare of chosen entries."""

    python: str
    cli: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """A sub-task's paths relative to its task's two directories, which is what a new one is made of."""

    source: str
    target: str


def ends_of(sub_task: SubTask, task: Task, flow: DataFlow) -> Ends:
    """Where a sub-task's full paths point, seen from its task's directories."""
    source_root, target_root = _roots(task, flow)
    return Ends(
        source=_beneath(sub_task.source, source_root, task.directory),
        target=_beneath(sub_task.target, target_root, task.target_directory),
    )


def sub_task_snippets(sub_task: SubTask, task: Task, flow: DataFlow, caller: Caller) -> Snippets:
    """What makes the same sub-task again."""
    ends = ends_of(sub_task, task, flow)
    condition = _condition(sub_task.condition)
    arguments: dict[str, Argument] = {
        "file_system_id": sub_task.file_system_id,
        "data_flow_id": sub_task.data_flow_id,
        "data_flow_task_id": sub_task.task_id,
        "src_file_path": _for_one_call(ends.source, task.directory, caller.reading),
        "dst_file_path": _for_one_call(ends.target, task.target_directory, caller.reading),
    }
    if condition:
        arguments["condition"] = condition
    words = ["penstock", "subtask", "create", sub_task.task_id, ends.source, ends.target]
    if sub_task.condition.size_bytes is not None:
        words += ["--size", str(sub_task.condition.size_bytes)]
    if sub_task.condition.modify_time_ns is not None:
        words += ["--modified", str(sub_task.condition.modify_time_ns)]
    return Snippets(
        python=_program(
            "create_data_flow_sub_task", "CreateDataFlowSubTask", arguments, "data_flow_sub_task_id", caller
        ),
        cli=_commands(words, sub_task.file_system_id, caller),
    )


def task_snippets(task: Task, flow: DataFlow, caller: Caller) -> Snippets:
    """What opens the same stream, or begins the same batch, again."""
    arguments: dict[str, Argument] = {
        "file_system_id": task.file_system_id,
        "data_flow_id": task.data_flow_id,
        "task_action": task.action.value,
        "data_type": task.data_type,
        "conflict_policy": task.conflict_policy.value,
        **_selection(task),
        "dst_directory": task.target_directory,
    }
    if task.create_dir_if_not_exist:
        arguments["create_dir_if_not_exist"] = True
    if task.action is TaskAction.COMPARE:
        return _compare_snippets(task, flow, arguments, caller)
    python = _program("create_data_flow_task", "CreateDataFlowTask", arguments, "task_id", caller)
    if task.action not in STREAM_ACTIONS:
        return Snippets(python=python, cli=_commands(_batch_words(task), task.file_system_id, caller))
    words = [
        "penstock", "task", "create", task.data_flow_id, _DIRECTIONS[task.action],
        "--directory", task.directory, "--target-directory", task.target_directory,
        "--existing", _EXISTING[task.conflict_policy],
    ]  # fmt: skip
    return Snippets(
        python=python,
        cli=_commands(words, task.file_system_id, caller),
    )


def _compare_snippets(task: Task, flow: DataFlow, arguments: Mapping[str, Argument], caller: Caller) -> Snippets:
    """The request of the SDK has no place for CompareChecksum, which is ours: so it is a call by name."""
    checksums = task.checksums or Checksums.NONE
    wire = {"".join(word.capitalize() for word in name.split("_")): str(value) for name, value in arguments.items()}
    python = _call_by_name("CreateDataFlowTask", wire | {"CompareChecksum": checksums.value}, "TaskId", caller)
    if task.entry_list or task.includes:
        return Snippets(python=python, cli="")
    words = [
        "penstock", "compare", f"fs:{flow.file_system_path[:-1]}{task.directory}",
        f"{flow.source_storage}{flow.source_storage_path[:-1]}{task.target_directory}", "--flow", flow.data_flow_id,
    ]  # fmt: skip
    return Snippets(python=python, cli=_commands([*words, *_LOOKING_INTO[checksums]], task.file_system_id, caller))


def _batch_words(task: Task) -> list[str]:
    """The command that begins the same batch."""
    words = ["penstock", "task", "batch", task.data_flow_id, task.direction.value]
    if task.entry_list:
        words += [word for entry in json.loads(task.entry_list) for word in ("--entry", entry)]
    elif task.file_list_path:
        words += ["--lists", task.file_list_path]
    else:
        words += ["--directory", task.directory]
        words += [word for one in json.loads(task.includes or "[]") for word in ("--include", one)]
    words += ["--target-directory", task.target_directory, "--existing", _EXISTING[task.conflict_policy]]
    return [*words, "--create-directory"] if task.create_dir_if_not_exist else words


def data_flow_snippets(arguments: Mapping[str, str | int], caller: Caller) -> Snippets:
    """What makes the same dataflow again; `arguments` are those of the SDK's request."""
    words = ["penstock", "flow", "create", str(arguments["file_system_path"])]
    words.append(f"{arguments['source_storage']}{arguments['source_storage_path']}")
    if arguments.get("source_security_type") == "SSL":
        words.append("--ssl")
    if arguments.get("description"):
        words += ["--description", str(arguments["description"])]
    if arguments.get("fset_id"):
        words += ["--fileset", str(arguments["fset_id"]), "--throughput", str(arguments.get("throughput", ""))]
    return Snippets(
        python=_program("create_data_flow", "CreateDataFlow", dict(arguments), "data_flow_id", caller),
        cli=_commands(words, str(arguments["file_system_id"]), caller),
    )


def _selection(task: Task) -> Mapping[str, Argument]:
    """Which files a task is about: one of the three ways to say that."""
    if task.entry_list:
        return {"entry_list": task.entry_list}
    if task.file_list_path:
        return {"transfer_file_list_path": task.file_list_path}
    return {"directory": task.directory} | ({"includes": task.includes} if task.includes else {})


# ----------------------------------------------------------------------------------------------------------------- paths


def _roots(task: Task, flow: DataFlow) -> tuple[str, str]:
    if task.direction is Direction.IMPORT:
        return flow.source_storage_path, flow.file_system_path
    return flow.file_system_path, flow.source_storage_path


def _beneath(full: str, root: str, directory: str) -> str:
    ground = f"{root[:-1]}{directory[:-1]}"
    return full[len(ground) :] if full.startswith(f"{ground}/") else full


def _for_one_call(path: str, directory: str, reading: Reading) -> str:
    """The path as the one-file call takes it.

    Under the walkthrough's reading a path that begins with the task's directory would be taken from the dataflow's root; so it
    is written from there.
    """
    ambiguous = reading is Reading.WALKTHROUGH and directory != "/" and path.startswith(directory)
    return f"{directory[:-1]}{path}" if ambiguous else path


def _condition(condition: Condition) -> dict[str, int]:
    given = {"modify_time": condition.modify_time_ns, "size": condition.size_bytes}
    return {name: value for name, value in given.items() if value is not None}


# ------------------------------------------------------------------------------------------------------------- how written


def _program(method: str, model: str, arguments: Mapping[str, Argument], answered: str, caller: Caller) -> str:
    return "\n".join(
        [
            *_client("from alibabacloud_nas20170626 import models as nas", caller),
            f"answer = client.{method}(",
            f"    nas.{model}Request(",
            *(f"        {name}={_literal(model, name, value)}," for name, value in arguments.items()),
            "    )",
            ")",
            f"print(answer.body.{answered})",
            "",
        ]
    )


def _call_by_name(action: str, parameters: Mapping[str, str], answered: str, caller: Caller) -> str:
    protocol = json.dumps(urlsplit(caller.endpoint).scheme.upper())
    return "\n".join(
        [
            *_client("from alibabacloud_tea_openapi import utils_models as openapi", caller),
            "answer = client.call_api(",
            "    openapi.Params(",
            f'        action="{action}", version="2017-06-26", protocol={protocol}, method="POST", pathname="/",',
            '        auth_type="AK", style="RPC", req_body_type="formData", body_type="json",',
            "    ),",
            "    openapi.OpenApiRequest(",
            "        query={",
            *(f'            "{name}": {json.dumps(value, ensure_ascii=False)},' for name, value in parameters.items()),
            "        }",
            "    ),",
            "    RuntimeOptions(),",
            ")",
            f'print(answer["body"]["{answered}"])',
            "",
        ]
    )


def _client(models: str, caller: Caller) -> Sequence[str]:
    """How a program begins: what it needs, and its client."""
    url = urlsplit(caller.endpoint)
    config: dict[str, str] = {
        "endpoint": json.dumps(url.netloc),
        "protocol": json.dumps(url.scheme.upper()),
        "access_key_id": json.dumps(caller.access_key_id),
        "access_key_secret": 'os.environ["PENSTOCK_ACCESS_KEY_SECRET"]',
    }
    if caller.ca_file:
        config["ca"] = json.dumps(caller.ca_file, ensure_ascii=False)
    by_name = ["from darabonba.runtime import RuntimeOptions"] if "openapi" in models.rsplit(maxsplit=1)[-1] else []
    return [
        "# pip install alibabacloud-nas20170626",
        "import os",
        "",
        models,
        "from alibabacloud_nas20170626.client import Client",
        "from alibabacloud_tea_openapi.utils_models import Config",
        *by_name,
        "",
        "client = Client(",
        "    Config(",
        *(f"        {name}={value}," for name, value in config.items()),
        "    )",
        ")",
    ]


def _literal(model: str, name: str, value: Argument) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}={number}" for key, number in value.items())
        return f"nas.{model}Request{name.capitalize()}({inner})"
    return repr(value) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def _typed(words: Sequence[str]) -> str:
    """A command as it is typed; a long one goes on in lines of its own."""
    quoted = list(map(shlex.quote, words))
    line = " ".join(quoted)
    if len(line) <= LINE_CHARACTERS:
        return line
    lines = [" ".join(quoted[:4])]
    for word in quoted[4:]:
        if lines[-1].startswith("--") and " " not in lines[-1] and not word.startswith("--"):
            lines[-1] += f" {word}"  # an option keeps its value
        else:
            lines.append(word)
    return " \\\n  ".join(lines)


def _commands(words: Sequence[str], file_system_id: str, caller: Caller) -> str:
    """The command, after what it has to know about the service."""
    known = {"PENSTOCK_ENDPOINT": caller.endpoint, "PENSTOCK_ACCESS_KEY_ID": caller.access_key_id}
    if caller.ca_file:
        known["PENSTOCK_CA_FILE"] = caller.ca_file
    known["PENSTOCK_FILE_SYSTEM"] = file_system_id
    lines = [f"export {name}={shlex.quote(value)}" for name, value in known.items()]
    return "\n".join(
        [
            "# PENSTOCK_ACCESS_KEY_SECRET holds the key's secret",
            *lines,
            _typed(words),
            "",
        ]
    )
