"""Run test modules of the suite, in the suite's own environment and directory, and write how each test ended as JSON.

    python judge.py PORT SECONDS RESULTS MODULE...

Runs where neither Penstock nor its packages are. The suite's files are not touched; what it expects of the world around
it is given here: names under aliyuncs.com lead to the emulator and no other name to anywhere, and the key service (KMS) that
its client-side encryption asks for data keys is a stand-in that keeps no secrets.
"""

# ruff: noqa: N802 - unittest calls these by its own names

from __future__ import annotations

import base64
import json
import logging
import os
import random
import signal
import socket
import sys
import time
import traceback
import unittest
from typing import Any


class Verdicts(unittest.TestResult):
    """How each test ended: `passed`, `failed` (an assertion), `error` (anything else) or `skipped`, and its last words."""

    def __init__(self, limit_s: int) -> None:
        super().__init__()
        self.told: dict[str, dict[str, Any]] = {}
        self._limit_s = limit_s
        self._begun = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._begun = time.monotonic()
        self.told[test.id()] = {"end": "passed", "words": "", "seconds": 0.0}
        signal.alarm(self._limit_s)

    def stopTest(self, test: unittest.TestCase) -> None:
        signal.alarm(0)
        self.told[test.id()]["seconds"] = round(time.monotonic() - self._begun, 1)
        super().stopTest(test)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._tell(test, "error", err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._tell(test, "failed", err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.told.setdefault(test.id(), {"seconds": 0.0}).update(end="skipped", words=reason)

    def _tell(self, test: unittest.TestCase, end: str, err: Any) -> None:
        words = "".join(traceback.format_exception(*err))[-3000:]
        self.told.setdefault(test.id(), {"seconds": 0.0}).update(end=end, words=words)


class TooLongError(Exception):
    """A test took longer than it may."""


def resolve_to(port: int) -> None:
    """Have every name of the service lead to the emulator on loopback, and no other name to anywhere."""
    original = socket.getaddrinfo

    def resolve(host: Any, service: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and (name == "aliyuncs.com" or name.endswith(".aliyuncs.com")) and "kms." not in name:
            return original("127.0.0.1", port, *rest, **options)
        if name in {"127.0.0.1", "localhost"}:
            return original(host, service, *rest, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is not looked up: the suite stays on this machine")

    socket.getaddrinfo = resolve  # type: ignore[assignment]


class KeyService:
    """KMS as far as the suite asks for it: data keys, and texts that come back as they went."""

    def answer(self, request: Any) -> bytes:
        """The JSON of one action. Raises LookupError for any other."""
        action, asked = request.get_action_name(), request.get_query_params()
        if action == "GenerateDataKey":
            plain = base64.b64encode(os.urandom(int(asked["NumberOfBytes"]))).decode()
            return json.dumps({"Plaintext": plain, "CiphertextBlob": self._hidden(plain)}).encode()
        if action == "Encrypt":
            return json.dumps({"CiphertextBlob": self._hidden(asked["Plaintext"])}).encode()
        if action == "Decrypt":
            return json.dumps({"Plaintext": base64.b64decode(asked["CiphertextBlob"]).decode()}).encode()
        raise LookupError(action)

    def _hidden(self, text: str | bytes) -> str:
        return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def offer_key_service() -> None:
    """Have the vendor's client ask the stand-in instead of the network."""
    from aliyunsdkcore.client import AcsClient  # noqa: PLC0415 - only the suite's environment has it

    service = KeyService()
    AcsClient.do_action_with_exception = lambda _, request: service.answer(request)


def main(port: str, limit_s: str, results: str, *modules: str) -> None:
    """Run the modules one after another."""

    def too_late(*_: object) -> None:
        raise TooLongError(f"longer than {limit_s} seconds")

    signal.signal(signal.SIGALRM, too_late)
    resolve_to(int(port))
    offer_key_service()
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, os.getcwd())
    verdicts = Verdicts(int(limit_s))
    for module in modules:
        random.seed(module)  # the suite draws which kind of bucket it takes: every run takes the same
        unittest.defaultTestLoader.loadTestsFromName(module).run(verdicts)
    with open(results, "w", encoding="utf-8") as file:
        json.dump(verdicts.told, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
