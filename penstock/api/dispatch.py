"""From an action's name to its operation; the table is gathered from the operations' modules.

What the vendor's SDK calls and is not built is answered as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.api.errors import ApiError
from penstock.api.notbuilt import NOT_BUILT
from penstock.api.operation import Operation, Origin
from penstock.api.operations import bulk, dataflows, filesets, filesystems, refreshes, sights, subtasks, tasks
from penstock.api.options import Fidelity
from penstock.api.protocol import VERSION

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for module in (filesystems, filesets, dataflows, refreshes, tasks, subtasks, bulk, sights)
    for operation in module.OPERATIONS
}
ALIASES: Mapping[str, Operation] = {
    alias: operation for operation in OPERATIONS.values() for alias in operation.aliases
}
_A_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def find(action: str, version: str, fidelity: Fidelity) -> Operation:
    """The operation called so. Raises ApiError InvalidApi.NotFound or NotImplemented.

    A version is a date. Another one than ours is taken for ours, because parameters that are known mean the same; strict
    fidelity has one version.
    """
    is_strict = fidelity is Fidelity.STRICT
    if version != VERSION and (is_strict or _A_DATE.fullmatch(version) is None):
        raise ApiError("InvalidApi.NotFound", f"The version here is {VERSION}.")
    operation = OPERATIONS.get(action)
    if operation is not None:
        if operation.origin is Origin.OURS and is_strict:
            raise ApiError("InvalidApi.NotFound", f"{action} is an extension: there is none with fidelity = strict.")
        return operation
    operation = ALIASES.get(action)
    if operation is not None:
        if is_strict:
            raise ApiError("InvalidApi.NotFound", f"There is no such action; it is called {operation.name}.")
        return operation
    if action in NOT_BUILT:
        raise ApiError("NotImplemented", f"The action {action} is not built.")
    raise ApiError("InvalidApi.NotFound", "There is no such action.")
