"""The names that the vendor's SDK has: its actions, and of the dataflow family each parameter it sends and each field it reads.

`sdk.json` keeps them, so that the page can be made without the SDK; `installed` reads them out of the installed package, which a
test compares. Names only, no text.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("sdk.json")
PACKAGE = "alibabacloud-nas20170626"
_FAMILY = re.compile(r"DataFlow|Fileset(?!s?Associated)|^(Create|Delete|Describe|Modify)FileSystems?$")
_MODEL = re.compile(r"(List\[)?main_models\.(\w+)\]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One action of the family: the wire names it sends (`N` for an index) and the paths of what it reads (`A.B[].C`)."""

    parameters: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """All names of one version of the SDK."""

    version: str
    actions: tuple[str, ...]
    family: Mapping[str, Shape]


@cache
def committed() -> Names:
    """What `sdk.json` has."""
    found = json.loads(TABLE.read_text(encoding="utf-8"))
    family = {
        action: Shape(parameters=tuple(shape["parameters"]), fields=tuple(shape["fields"]))
        for action, shape in found["family"].items()
    }
    return Names(version=found["version"], actions=tuple(found["actions"]), family=family)


def installed() -> Names:
    """What the installed package has."""
    from alibabacloud_nas20170626.client import Client  # noqa: PLC0415 - making the page does not need the SDK

    actions = sorted(set(re.findall(r"action = '(\w+)'", inspect.getsource(Client))))
    return Names(
        version=metadata.version(PACKAGE),
        actions=tuple(actions),
        family={action: _shape(action) for action in actions if _FAMILY.search(action)},
    )


def as_text(names: Names) -> str:
    """The text of `sdk.json`."""
    family = {
        action: {"parameters": list(shape.parameters), "fields": list(shape.fields)}
        for action, shape in names.family.items()
    }
    told = {"version": names.version, "actions": list(names.actions), "family": family}
    return json.dumps(told, indent=1) + "\n"


def leaves(value: object, path: str = "") -> Iterator[str]:
    """The paths of an answer's values: `A.B[].C`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path


def _shape(action: str) -> Shape:
    from alibabacloud_tea_openapi.utils import Utils  # noqa: PLC0415

    sent = {re.sub(r"\.\d+", ".N", name) for name in Utils.query(_filled(f"{action}Request").to_map())}
    read = set(leaves(_filled(f"{action}ResponseBody").to_map()))
    return Shape(parameters=tuple(sorted(sent)), fields=tuple(sorted(read)))


def _filled(name: str) -> Any:
    """A model of the SDK with every field set, lists to one item."""
    from alibabacloud_nas20170626 import models  # noqa: PLC0415

    kind = getattr(models, name)
    made = kind()
    for field, parameter in inspect.signature(kind.__init__).parameters.items():
        if field == "self":
            continue
        inner = _MODEL.fullmatch(str(parameter.annotation))
        if inner is None:
            value: Any = ["x"] if str(parameter.annotation).startswith("List") else "x"
        else:
            value = [_filled(inner[2])] if inner[1] else _filled(inner[2])
        setattr(made, field, value)
    return made
