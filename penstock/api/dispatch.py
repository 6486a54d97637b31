"""From an action's name to its operation; the table is gathered from the operations' modules.

What the vendor's SDK calls and is not built is answered as such.
"""

from __future__ import annotations

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


def find(action: str, version: str, fidelity: Fidelity) -> Operation:
    """The operation called so. Raises ApiError InvalidApi.NotFound, NotImplemented or (strict) DataFlowNotSupported."""
    operation = OPERATIONS.get(action)
    if operation is not None and version == VERSION:
        if operation.origin is Origin.OURS and fidelity is Fidelity.STRICT:
            raise ApiError("InvalidApi.NotFound", f"{action} is an extension: there is none with fidelity = strict.")
        return operation
    if version != VERSION:
        raise ApiError("InvalidApi.NotFound", f"The version here is {VERSION}.")
    operation = ALIASES.get(action)
    if operation is not None:
        if fidelity is Fidelity.STRICT:
            raise ApiError("InvalidApi.NotFound", f"There is no such action; it is called {operation.name}.")
        return operation
    if action in NOT_BUILT:
        raise ApiError("NotImplemented", f"The action {action} is not built.")
    raise ApiError("InvalidApi.NotFound", "There is no such action.")
