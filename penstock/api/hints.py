"""What the real service would have done otherwise with a call, and what commonly mends a refusal: for the request log.

Pure: looks at a sighting, the operations' declarations and the options. Says nothing where both would do the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from penstock.api import dispatch
from penstock.api.operation import Operation, Origin
from penstock.api.options import ApiOptions, Fidelity
from penstock.api.protocol import VERSION
from penstock.api.unfamiliar import Known
from penstock.api.witness import Sighting

_REFUSED_THERE = {
    "StartDataFlow": "The cloud refuses it for this kind of file system (OperationDenied.DataFlowNotSupported).",
    "StopDataFlow": "The cloud refuses it for this kind of file system (OperationDenied.DataFlowNotSupported).",
}
_LET_GO = ("FsetId", "Throughput")
_MENDS = {
    "SignatureDoesNotMatch": "The secret is not the one that the service has for this key, or the request was changed.",
    "InvalidTimeStamp.Expired": "The clocks of caller and service differ by more than 15 minutes: set the wrong one (NTP).",
    "InvalidAccessKeyId.NotFound": "The service knows no such key: penstock key list HOME shows those it knows.",
    "InvalidAccessKeyId.Inactive": "The key was revoked: penstock key add HOME makes another one.",
    "SignatureNonceUsed": "Each attempt needs a nonce of its own: this request was sent once more as it was.",
    "Forbidden.RAM": "The key lacks the right: its allow patterns, or its file systems, do not hold this.",
    "NotImplemented": "The cloud has this, Penstock does not have it yet: docs/fidelity.md tells what is built.",
    "InvalidApi.NotFound": "The action's name, or the version, is another one than the SDK of NAS 2017-06-26 uses.",
}
_TRANSITION = frozenset({"CreateDataFlow", "DeleteDataFlow", "CreateDataFlowTask"})
_MADE_TWICE = frozenset({"CreateDataFlow", "CreateDataFlowTask"})
_UNKNOWN_TOLD_MAX = 5


def hints(sighting: Sighting, options: ApiOptions) -> tuple[str, ...]:
    """Sentences, the weightiest first."""
    operation = dispatch.OPERATIONS.get(sighting.action)
    found: list[str] = []
    if sighting.code in _MENDS:
        found.append(_MENDS[sighting.code])
    if operation is not None:
        found += _of_action(sighting, operation, options)
        found += _of_parameters(sighting, operation)
    if any(name == "x-penstock-path-base" for name, _ in sighting.marks):
        found.append(
            "A path that lies under the task's directory was read from the dataflow's root, as the cloud's walkthrough does; "
            'with subtask_path_base = "task" it is read from the task\'s directory.'
        )
    if sighting.is_signed and not sighting.headers.get("authorization", "").startswith("ACS3-"):
        found.append("Signed by Signature 1.0. The cloud takes it, too; today's SDKs sign by ACS3-HMAC-SHA256.")
    return tuple(found)


def _of_action(sighting: Sighting, operation: Operation, options: ApiOptions) -> Iterator[str]:
    if operation.origin is Origin.OURS:
        yield "An action of Penstock's own: the cloud answers 404 InvalidApi.NotFound, and so does fidelity = strict."
    called = sighting.headers.get("x-acs-action", "") or sighting.parameters.get("Action", "")
    version = sighting.headers.get("x-acs-version", "") or sighting.parameters.get("Version", VERSION)
    if version != VERSION:
        yield f"Version {version} was taken for {VERSION}, the one that is built: what is new in it is not known here."
    if called in operation.aliases:
        yield f"The cloud does not know the name {called}: the action is called {operation.name}."
    if sighting.code:
        return
    if operation.name in _REFUSED_THERE and options.fidelity is Fidelity.LENIENT:
        yield _REFUSED_THERE[operation.name]
    if operation.name in _TRANSITION and sighting.parameters.get("DryRun", "").lower() != "true":
        yield "Done at once here. In the cloud it takes minutes: transition_delay_s lets a program's waiting be tried out."


def _of_parameters(sighting: Sighting, operation: Operation) -> Iterator[str]:
    given = sighting.parameters
    known = {name for parameter in operation.parameters for name in parameter.names}
    for name in Known.of(operation.parameters).strange(given)[:_UNKNOWN_TOLD_MAX]:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        meant = f" Did you mean {close[0]}?" if close else ""
        yield f"The parameter {name} is none of {operation.name}, and was not read.{meant}"
    for name in _LET_GO:
        if given.get(name) and name in known:
            yield f"{name} means nothing here and was let go; the cloud refuses it for this kind of file system."
    if given.get("SourceStorage", "").startswith("s3://"):
        yield "The cloud knows oss:// only: s3:// is an extension."
    if operation.name in _MADE_TWICE and not sighting.code and not given.get("ClientToken"):
        yield "Without a ClientToken a program that repeats this after a lost answer makes a second one, here as in the cloud."
