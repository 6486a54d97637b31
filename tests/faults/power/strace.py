"""strace, as the tests use it: whether this machine permits it, the command that records, and the one that injects errors."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fixtures.waiting import wait_until

REQUIRE = "PENSTOCK_REQUIRE_STRACE"
CHANGING = (
    "openat", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "truncate", "fallocate", "fchmod",
    "fchmodat", "utimensat", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir", "sendto", "sendmsg", "copy_file_range", "sendfile", "splice",
)  # fmt: skip
"""Whatever changes a file or a name, makes it durable, or tells somebody else something."""

STRING_BYTES_MAX = 1 << 20
PATIENCE_S = 30.0


@functools.cache
def trouble() -> str:
    """Why nothing can be traced here; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed; `make deb` installs it"
    try:
        tried = subprocess.run(
            ["strace", "-f", "-o", os.devnull, "-e", "trace=none", "true"], capture_output=True, check=False, timeout=20
        )
    except subprocess.TimeoutExpired:
        return "strace hangs here"
    return (
        "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.decode(errors='replace').strip()}"
    )


def require() -> None:
    """Skip the test, or fail it where PENSTOCK_REQUIRE_STRACE=1, when nothing can be traced."""
    if not trouble():
        return
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(trouble())
    pytest.skip(f"NOTHING IS SHOWN ABOUT POWER CUTS AND DISK ERRORS: {trouble()}")


def recording(trace: Path, *, fails: str = "") -> Sequence[str]:
    """What to put before a command whose calls, its children's too, are to be written to `trace`.

    `fails` tells which call fails how and when, as in `fsync:error=EIO:when=3`. The tracer stands aside (-D), so that whoever
    starts the command has the command itself for a child.
    """
    return (
        *("strace", "-D", "-f", "-qq", "--seccomp-bpf", "-yy", "-x", "-s", f"{STRING_BYTES_MAX}", "-o", f"{trace}"),
        *("-e", "signal=none", "-e", f"trace={','.join(CHANGING)}"),
        *(("-e", f"inject={fails}") if fails else ()),
        "--",
    )


def wait_ended(trace: Path, tracee: int) -> None:
    """Return when the tracer of a process that has ended has written all and ended, too."""
    wait_until(lambda: not _traces_into(trace), PATIENCE_S, f"the tracer of {tracee} did not end")


def _traces_into(trace: Path) -> bool:
    """Whether a process still has that file open."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) == str(trace):
                return True
        except OSError:
            continue  # it has just ended, or is somebody else's
    return False
