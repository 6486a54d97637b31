"""Parameters that the vendor has for its general-purpose flavour only: read and judged as documented, then let go or refused.

FsetId and Throughput mean nothing here and are let go (strict: refused). Auto-refresh would be missed by whoever asks for it,
so it is always refused.
"""

from __future__ import annotations

from enum import StrEnum

from penstock.api.errors import ApiError
from penstock.api.operation import Desk, refuse_if_strict
from penstock.api.parameters import Parameter, Values, Wire, identifier, integer, optional, repeated, word_of
from penstock.api.paths import check_directory

THROUGHPUTS = ("600", "1200", "1500", "2000")


class RefreshPolicy(StrEnum):
    """AutoRefreshPolicy."""

    NONE = "None"
    IMPORT_CHANGED = "ImportChanged"


def _throughput(name: str, text: str) -> int:
    if text not in THROUGHPUTS:
        raise ApiError("InvalidThroughput.OutOfBounds", f"{name} is one of {', '.join(THROUGHPUTS)}.")
    return int(text)


_path_groups = repeated("AutoRefreshs", ("RefreshPath",))


def _refresh_paths(wire: Wire) -> tuple[str, ...]:
    paths = tuple(path for (path,) in _path_groups(wire))
    for path in paths:
        try:
            check_directory("RefreshPath", path)
        except ApiError as error:
            raise ApiError("InvalidRefreshPath.InvalidParameter", error.message) from error
    return paths


FSET_ID = optional("FsetId", identifier, "")
THROUGHPUT = optional("Throughput", _throughput, 0)
REFRESH_PATHS: Parameter[tuple[str, ...]] = Parameter(
    names=("AutoRefreshs.N.RefreshPath",), default=(), take=_refresh_paths
)
REFRESH_POLICY = optional(
    "AutoRefreshPolicy",
    word_of(RefreshPolicy, code="InvalidRefreshPolicy.InvalidParameter"),
    RefreshPolicy.NONE,
)
REFRESH_INTERVAL = optional("AutoRefreshInterval", integer(5, 526_600, code="InvalidRefreshInterval.OutOfBounds"), 10)


def refuse_auto_refresh(values: Values) -> None:
    """Raises ApiError OperationDenied.AutoRefreshNotSupport where paths or a policy ask for it."""
    if values[REFRESH_PATHS] or values[REFRESH_POLICY] is not RefreshPolicy.NONE:
        raise ApiError(
            "OperationDenied.AutoRefreshNotSupport",
            "There is no auto-refresh here: open a StreamImport task and name the files that have changed.",
        )


def refuse_fileset_if_strict(desk: Desk, values: Values) -> None:
    """Raises ApiError OperationDenied.DataFlowNotSupported for FsetId or Throughput where strictness was asked for."""
    if values[FSET_ID]:
        refuse_if_strict(desk, "FsetId")
    refuse_throughput_if_strict(desk, values)


def refuse_throughput_if_strict(desk: Desk, values: Values) -> None:
    """As `refuse_fileset_if_strict`, for operations that have no FsetId."""
    if values[THROUGHPUT]:
        refuse_if_strict(desk, "Throughput")
