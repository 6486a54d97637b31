"""Parameters that the vendor has for its general-purpose flavour only: read and judged as documented, then let go or refused.

FsetId and Throughput mean nothing here and are let go (strict: refused). Auto-refresh works for every kind of file system, and
strict fidelity refuses it where the vendor does not have it.
"""

from __future__ import annotations

from penstock.api.errors import ApiError
from penstock.api.kinds import is_general_purpose
from penstock.api.operation import Desk, refuse_if_strict
from penstock.api.options import Fidelity
from penstock.api.parameters import Parameter, Values, Wire, identifier, integer, optional, repeated, word_of
from penstock.api.paths import check_directory
from penstock.model import RefreshPolicy

THROUGHPUTS = ("600", "1200", "1500", "2000")


def _throughput(name: str, text: str) -> int:
    if text not in THROUGHPUTS:
        raise ApiError("InvalidThroughput.OutOfBounds", f"{name} is one of {', '.join(THROUGHPUTS)}.")
    return int(text)


def refresh_path(name: str, text: str) -> str:
    """A directory beneath the dataflow. Raises ApiError."""
    try:
        return check_directory(name, text)
    except ApiError as error:
        raise ApiError("InvalidRefreshPath.InvalidParameter", error.message) from error


_path_groups = repeated("AutoRefreshs", ("RefreshPath",))


def _refresh_paths(wire: Wire) -> tuple[str, ...]:
    return tuple(refresh_path("RefreshPath", path) for (path,) in _path_groups(wire))


BANDWIDTH_MAX = 1_000_000

FSET_ID = optional("FsetId", identifier, "")
THROUGHPUT = optional("Throughput", _throughput, 0)
BANDWIDTH = optional("Bandwidth", integer(0, BANDWIDTH_MAX, code="InvalidParameter.InvalidFormat"), None)
REFRESH_PATHS: Parameter[tuple[str, ...]] = Parameter(
    names=("AutoRefreshs.N.RefreshPath",), default=(), take=_refresh_paths
)
REFRESH_POLICY = optional(
    "AutoRefreshPolicy",
    word_of(RefreshPolicy, code="InvalidRefreshPolicy.InvalidParameter"),
    None,
)
REFRESH_INTERVAL = optional("AutoRefreshInterval", integer(5, 526_600, code="InvalidRefreshInterval.OutOfBounds"), None)


def refuse_auto_refresh_if_strict(desk: Desk, values: Values, file_system_id: str) -> None:
    """Raises ApiError OperationDenied.AutoRefreshNotSupport where paths or a policy ask for what the vendor does not have."""
    is_asked_for = values[REFRESH_PATHS] or values[REFRESH_POLICY] is RefreshPolicy.IMPORT_CHANGED
    if is_asked_for and desk.options.fidelity is Fidelity.STRICT and not is_general_purpose(file_system_id):
        raise ApiError(
            "OperationDenied.AutoRefreshNotSupport",
            "Auto-refresh is not for this kind of file system (fidelity = strict).",
        )


def refuse_fileset_if_strict(desk: Desk, values: Values, file_system_id: str) -> None:
    """Raises ApiError OperationDenied.DataFlowNotSupported for FsetId where the kind has none and strictness was asked for."""
    if is_general_purpose(file_system_id):
        return
    if values[FSET_ID]:
        refuse_if_strict(desk, "FsetId")


def throughput_of(desk: Desk, values: Values, file_system_id: str) -> int:
    """What a dataflow of this file system may move, in MB a second; 0 where its kind has no such limit: then it is let go.

    Raises ApiError OperationDenied.DataFlowNotSupported for it, and for our own Bandwidth, where strictness was asked for.
    """
    if values[BANDWIDTH] is not None:
        refuse_if_strict(desk, "Bandwidth")
    if is_general_purpose(file_system_id):
        return values[THROUGHPUT]
    if values[THROUGHPUT]:
        refuse_if_strict(desk, "Throughput")
    return 0
