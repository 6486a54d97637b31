"""`make compatibility`: the stores' suite over every server, and its numbers written into docs/compatibility.md.

`python -m tests.compatibility FILE` starts Ceph RGW, Swift, rclone, moto and our emulator, each on loopback. When a test in scope
failed anywhere nothing is written, and it ends with 1. `tests.conformance.stores.gaps` tells what is out of scope, and why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

BEGIN, END = "<!-- numbers: make compatibility -->\n", "<!-- end of the numbers -->\n"
SUITE = "tests/conformance/stores"
NAMES: Mapping[str, str] = {
    "ceph": "Ceph RGW",
    "swift": "Swift with s3api",
    "rclone": "`rclone serve s3`",
    "moto": "moto",
    "oss-v4": "Penstock's emulator, OSS signature 4",
    "oss-v1": "Penstock's emulator, OSS signature 1",
}
"""What is told of, in this order; the stand-in in memory is no server."""


@dataclass(slots=True, kw_only=True)  # house: it counts while it reads
class Tally:
    """What became of one server's tests."""

    tests: int = 0
    passed: int = 0
    out_of_scope: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """Run, count, write."""
    page = Path(arguments[0])
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        environment = {**os.environ, "PENSTOCK_COMPATIBILITY": "1", "PENSTOCK_REQUIRE_CEPH": "1"}
        command = [sys.executable, "-m", "pytest", SUITE, "-q", "--no-header", "-n", "2", "--dist", "loadgroup"]
        done = subprocess.run([*command, f"--junitxml={report}"], env=environment, check=False)
        tallies = counted(report)
    failed = [test for tally in tallies.values() for test in tally.failed]
    if done.returncode != 0 or failed:
        print(f"compatibility: {len(failed)} tests in scope failed; nothing is written", file=sys.stderr)
        return 1
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + "".join(f"{line}\n" for line in table(tallies)) + END + after, encoding="utf-8")
    return 0


def counted(report: Path) -> dict[str, Tally]:
    """Each server's tests in a JUnit report of pytest."""
    tallies = {name: Tally() for name in NAMES}
    for case in ET.parse(report).iter("testcase"):
        shore = next((each.get("value") for each in case.iter("property") if each.get("name") == "shore"), None)
        if shore not in tallies:
            continue
        tally = tallies[shore]
        tally.tests += 1
        skipped = case.find("skipped")
        if skipped is not None:
            tally.out_of_scope[skipped.get("message", "")] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(case.get("name", ""))
        else:
            tally.passed += 1
    return tallies


def table(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """The numbers, and below them what is out of scope."""
    yield ""
    yield "| server | version | tests | in scope | passed |"
    yield "|---|---|---|---|---|"
    for name, tally in tallies.items():
        in_scope = tally.tests - tally.out_of_scope.total()
        yield f"| {NAMES[name]} | {_version(name)} | {tally.tests} | {in_scope} | {tally.passed} |"
    yield ""
    for name, tally in tallies.items():
        for reason, count in sorted(tally.out_of_scope.items()):
            yield f"- Out of scope for {NAMES[name]} ({count}): {reason}."
    yield ""


def _version(name: str) -> str:
    if name == "moto":
        return version("moto")
    if name == "rclone":
        return _first_line("rclone", "version").removeprefix("rclone v")
    if name == "ceph":
        return _first_line("ceph", "--version").split()[2]
    if name == "swift":
        return _first_line("dpkg-query", "-W", "-f", "${Version}", "swift-proxy")
    return version("penstock")


def _first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
