"""What a page says after something was done, and what a person does about a refusal: closed tables of words.

A note's name travels in the address of the page, so an address can make the console say nothing that does not stand here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

NOTES: Mapping[str, str] = {
    "out": "You are logged out.",
    "flow.created": "The dataflow is there. Open a stream on it, and files can move.",
    "flow.started": "The dataflow is started.",
    "flow.stopped": "The dataflow is stopped: what runs goes on, nothing new begins.",
    "flow.deleted": "The dataflow is deleted. Files and objects are where they were.",
    "tasks.created": "The stream is open: files can be moved on it.",
    "tasks.begun": "The batch is there, and begins when it has a place: four of a dataflow move at once.",
    "tasks.canceled": "The stream is closed.",
    "tasks.ending": "The batch ends: what has moved stays.",
    "files.created": "Accepted.",
    "files.retried": "What failed moves anew.",
    "files.canceled": "Canceling: nothing of it is left behind.",
    "files.canceled_partly": "Not all could be canceled: some had ended already, or were being withdrawn.",
    "stand_in.armed": "The fault is armed.",
    "stand_in.removed": "The fault is removed: what it held goes on.",
    "stand_in.clock": "The clock is set.",
    "stand_in.reset": "Everything is forgotten.",
    "stand_in.kept": "The state is kept.",
    "stand_in.restored": "The state is back.",
}

ADVICE: Mapping[str, str] = {
    "Forbidden.RAM": "Your access key has no right to this. Log in with another key, or have one made: penstock key add {home}.",
    "InvalidFileSystemPath.NotFound": "Make the directory, or choose another one.",
    "InvalidSourceStorage.Unreachable": "Try the bucket out: penstock bucket probe {home} NAME.",
    "InvalidSourceSecurityType.NotSupport": (
        "Choose “as its endpoint says” as the way to the bucket, or have the bucket registered with an https:// endpoint."
    ),
    "OperationDenied.DependBucketTag": "Set the tag cpfs-dataflow=true on the bucket, or register it with --no-tag-check.",
    "InternalError": "Look for the request id in the service's log.",
    "ServiceUnavailable": "Wait a moment, and try again.",
    "Throttling.User": "Too much is waiting. Try again when some of it is done.",
}


def note(name: str) -> str:
    """The words of a note; empty for a name that is not known."""
    return NOTES.get(name, "")


def advice(code: str, home: str) -> str:
    """What a person may do about an error of this code, with commands for this HOME; empty where its message says all."""
    return ADVICE.get(code, "").format(home=shlex.quote(home))
