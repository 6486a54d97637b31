"""Does each error that a disk may answer end as a clear failure that leaves nothing, and is a failed sync believed?

strace lets the kernel's calls fail: only those on the file or directory that is named, once in each thread.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import FailureCode
from penstock.transfer.names import journal_name, partial_name
from tests.faults.power.recording import IS_WHOLE, ROOM
from tests.fixtures.gate import transfer

pytestmark = pytest.mark.xdist_group("power")

SUB_TASK = transfer().sub_task_id
PARTIAL, JOURNAL = partial_name(SUB_TASK).decode(), journal_name(SUB_TASK).decode()
CALLS = (
    "openat,mkdirat,pwrite64,write,fchmod,utimensat,fallocate,fsync,fdatasync,close,rename,renameat,renameat2,unlinkat"
)
REMEDY = {
    "ENOSPC": (FailureCode.NO_SPACE, "the file system is full: free some space"),
    "EDQUOT": (FailureCode.NO_SPACE, "the quota is used up: raise it or free some space"),
    "EIO": (FailureCode.IO_ERROR, "the file system reported an input/output error: see the kernel's log"),
    "EROFS": (FailureCode.READ_ONLY, "the file system is mounted read-only: remount it for writing"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An error of one call on one name; `nth` times it is let pass. `first` and `second` are verdict and target."""

    kind: str
    call: str
    error: str
    name: str = PARTIAL
    nth: int = 1
    first: tuple[str, str] = ("retry", "old")
    second: tuple[str, str] = ("complete", "new")
    left: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.kind}-{self.call}-{self.error}-{self.name.rpartition('.')[2] or 'directory'}-{self.nth}"


DIRECTORY = ""
CASES = (
    Case(kind="small", call="openat", error="ENOSPC"),
    Case(kind="small", call="openat", error="EDQUOT"),
    Case(kind="small", call="openat", error="EIO"),
    Case(kind="small", call="pwrite64", error="ENOSPC"),
    Case(kind="small", call="pwrite64", error="EIO"),
    Case(kind="small", call="fchmod", error="EIO"),
    Case(kind="small", call="utimensat", error="EIO"),
    Case(kind="small", call="fsync", error="EIO"),
    Case(kind="small", call="fsync", error="ENOSPC"),
    Case(kind="small", call="fsync", error="EDQUOT"),
    Case(kind="small", call="close", error="EIO"),
    Case(kind="small", call="close", error="EDQUOT"),
    Case(kind="small", call="renameat", error="EIO"),
    Case(kind="small", call="renameat", error="ENOSPC"),
    Case(kind="small", call="renameat", error="EROFS"),
    Case(kind="small", call="fsync", error="EIO", name=DIRECTORY, nth=1, first=("retry", "new")),
    Case(kind="skip-small", call="fsync", error="EIO", name=DIRECTORY, first=("retry", "new")),
    Case(kind="latest-middling", call="fsync", error="EIO", name=DIRECTORY, first=("retry", "new")),
    Case(kind="new-small", call="mkdirat", error="ENOSPC", name="new", first=("retry", "none")),
    Case(kind="new-small", call="fsync", error="EIO", name=DIRECTORY, first=("retry", "none")),
    Case(kind="middling", call="pwrite64", error="ENOSPC", nth=2),
    Case(kind="middling", call="fsync", error="EIO"),
    Case(kind="large", call="openat", error="ENOSPC"),
    Case(kind="large", call="fallocate", error="ENOSPC"),
    Case(kind="large", call="fallocate", error="EOPNOTSUPP", first=("complete", "new")),
    Case(kind="large", call="pwrite64", error="ENOSPC"),
    Case(kind="large", call="pwrite64", error="EIO", nth=2),
    Case(kind="large", call="fdatasync", error="EIO"),
    Case(kind="large", call="fdatasync", error="ENOSPC"),
    Case(kind="large", call="fsync", error="EIO"),
    Case(kind="large", call="close", error="EIO"),
    Case(kind="large", call="renameat", error="EIO"),
    Case(kind="large", call="renameat", error="ENOSPC"),
    Case(kind="large", call="openat", error="ENOSPC", name=JOURNAL),
    # Each thread has its own: in the next attempt it is another one's.
    Case(kind="large", call="write", error="ENOSPC", name=JOURNAL, second=("retry", "old")),
    Case(kind="large", call="write", error="EIO", name=JOURNAL, nth=2, second=("retry", "old")),
    Case(kind="large", call="fsync", error="EIO", name=JOURNAL),
    Case(kind="large", call="fsync", error="EIO", name=JOURNAL, nth=2),
    Case(kind="large", call="fdatasync", error="EIO", name=JOURNAL),
    Case(kind="large", call="fsync", error="EIO", name=DIRECTORY),
    Case(
        kind="large",
        call="fsync",
        error="EIO",
        name=DIRECTORY,
        nth=2,
        first=("retry", "new"),
        left=frozenset({JOURNAL}),
    ),
    *(
        Case(kind="middling", call=call, error=error)
        for call, error in (
            ("openat", "EIO"),
            ("pwrite64", "EIO"),
            ("fsync", "ENOSPC"),
            ("close", "EIO"),
            ("renameat", "EIO"),
        )
        if IS_WHOLE
    ),
    *(
        Case(kind=kind, call="fsync", error="EIO", name=DIRECTORY, first=("retry", "new"))
        for kind in ("middling", "skip-middling", "latest-small")
        if IS_WHOLE
    ),
)


Spoilt = tuple[list[dict[str, Any]], str]
"""What the victim said after each attempt, and the record."""


def spoil(case: Case, directory: Path) -> Spoilt:
    """Have it fail."""
    trace, place = directory / "trace", directory / "fs"
    base = place / "base"
    names = [case.name, str(base / case.name)] if case.name else [str(base)]
    command = ["strace", "-f", "-qq", "-yy", "-s", "0", "-o", str(trace), "-e", f"trace={CALLS}"]
    command += ["-e", f"inject={case.call}:error={case.error}:when={case.nth}"]
    command += [word for name in names for word in ("-P", name)]
    command += [sys.executable, "-m", "tests.faults.power.victim", str(place), case.kind]
    done = subprocess.run(command, cwd=ROOM, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], trace.read_text()


@pytest.fixture(scope="session")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Spoilt]:
    """What came of a case, which is tried once."""
    return functools.cache(lambda case: spoil(case, tmp_path_factory.mktemp("spoilt")))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_error_of_the_disk_is_told_leaves_nothing_and_is_got_over(
    spoilt: Callable[[Case], Spoilt], case: Case
) -> None:
    (first, second, tidied), trace = spoilt(case)
    assert "(INJECTED)" in trace, "the call was not made"
    assert (first["verdict"], first["target"]) == case.first, first
    if case.first[0] != "complete":
        code, words = REMEDY[case.error]
        assert first["code"] == code
        assert first["message"].endswith(words)
        assert "/base" in first["message"]
        assert set(first["left"]) == case.left
    assert (second["verdict"], second["target"]) == case.second, second
    assert (tidied["verdict"], tidied["left"]) == ("tidied", [])


@pytest.mark.parametrize("case", [case for case in CASES if "sync" in case.call and case.name], ids=str)
def test_what_failed_to_sync_is_never_synced_again(spoilt: Callable[[Case], Spoilt], case: Case) -> None:
    """The kernel may have thrown its pages away and call the next sync of them a success: they are written anew elsewhere."""
    _, trace = spoilt(case)
    lines = trace.splitlines()
    failed = next(number for number, line in enumerate(lines) if "(INJECTED)" in line)
    for line in lines[failed + 1 :]:
        if re.search(r"openat\(.*O_CREAT\|O_EXCL.*= \d", line) and case.name in line:
            return
        assert not re.search(r"(fsync|renameat)\(", line), f"before it was made anew: {line}"
    pytest.fail("it was not made anew")


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.call == "fsync" and not case.name and case.first == ("retry", "new")],
    ids=str,
)
def test_a_name_that_failed_to_be_synced_is_synced_before_it_is_complete(
    spoilt: Callable[[Case], Spoilt], case: Case
) -> None:
    """Also where the policy keeps what is at the target, which is ours."""
    _, trace = spoilt(case)
    _, _, after = trace.partition("(INJECTED)")
    assert re.search(r"fsync\(.*= 0$", after, re.MULTILINE), "COMPLETE, and nobody has synced its name"
