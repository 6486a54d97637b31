"""Looks at the machine: the disk below HOME, and what the system allows a service to take. Writes one probe file in HOME."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import shlex
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.app.doctor.findings import Finding, ok, problem, size_in_words, warning
from penstock.app.limits import CONNECTIONS_MAX, FILES_AT_LEAST, FILES_EACH, OURS
from penstock.settings.choices import Settings
from penstock.settings.home import Home
from penstock.transfer.mounts import describe_mount
from penstock.transfer.root import NEAR_TYPES

PROBE_PREFIX = ".penstock-probe-"
SYNCS = 9
SYNC_SLOW_S = 0.05
FREE_LEAST_BYTES = 256 << 20
FREE_LITTLE_BYTES = 2 << 30
WATCHES_LEAST = 65_536
INSTANCES_LEAST = 64
PROCESSES_EACH = 400
"""Threads that a mover may come to, with some room; the kernel counts them as processes."""


def look_at_disk(home: Home) -> Iterator[Finding]:
    """Free space below HOME, and how long it takes until something is safe there: each accepted call waits for that once."""
    about = "disk of HOME"
    free = shutil.disk_usage(home.path).free
    if free < FREE_LEAST_BYTES:
        yield problem(
            about,
            f"{size_in_words(free)} are free: soon nothing is accepted any more",
            f"free some space below {home.path}",
        )
    elif free < FREE_LITTLE_BYTES:
        yield warning(about, f"{size_in_words(free)} are free", f"free some space below {home.path}")
    try:
        took_s = _sync_s(home.path)
    except OSError as error:
        yield problem(
            about,
            f"nothing can be written in {home.path}: {error.strerror}",
            f"see what is mounted there: findmnt --target {shlex.quote(str(home.path))}; df {shlex.quote(str(home.path))}",
        )
        return
    words = f"a sync takes {took_s * 1000:.1f} ms (median of {SYNCS}), {size_in_words(free)} are free"
    if took_s > SYNC_SLOW_S:
        yield warning(about, f"{words}: each accepted call waits for one", "have HOME on a quicker disk: a local SSD")
    elif free >= FREE_LITTLE_BYTES:
        yield ok(about, words)
    mount = describe_mount(os.fspath(home.path))
    if mount is not None and mount.kind not in NEAR_TYPES:
        yield warning(
            about,
            f"it is {mount.kind}, from {mount.source}: the catalog wants a disk of this machine, whose locks and syncs hold",
            "stop the service and move HOME to a local disk",
        )
    left = sorted(each for each in home.path.glob(f"{PROBE_PREFIX}*") if each.stat().st_mtime < time.time() - 60)
    for file in left:
        yield warning(about, f"{file.name} was left by a doctor that was killed", f"rm {shlex.quote(str(file))}")


def _sync_s(directory: Path) -> float:
    """The median of some: a probe file that grows a little each time, as a log does."""
    path = directory / f"{PROBE_PREFIX}{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    times: list[float] = []
    try:
        for _ in range(SYNCS):
            os.write(descriptor, bytes(4096))
            began_s = time.monotonic()
            os.fdatasync(descriptor)
            times.append(time.monotonic() - began_s)
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(path)
    return statistics.median(times)


def look_at_limits(settings: Settings, proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Open files, processes and watches: what this user may take on this machine."""
    about, found = "limits", list(_files(settings))
    found += _processes(settings, proc)
    found += _watches(proc)
    yield from found
    if not found:
        yield ok(about, "open files, processes and inotify watches are enough")


def _files(settings: Settings) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    mover = FILES_AT_LEAST + FILES_EACH * (settings.mover_small_files + settings.mover_large_files)
    if hard == resource.RLIM_INFINITY or hard >= max(mover, CONNECTIONS_MAX + OURS):
        return
    mend = "LimitNOFILE=65536 in the systemd unit, or ulimit -Hn 65536 before `penstock serve`"
    if hard < mover:
        yield problem("limits", f"{hard} files may be open, a mover needs {mover}", mend)
    else:
        yield warning(
            "limits", f"{hard} files may be open: the API takes {max(hard - OURS, 0)} connections at most", mend
        )


def _processes(settings: Settings, proc: Path) -> Iterator[Finding]:
    wanted = settings.movers * PROCESSES_EACH
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() != 0 and soft != resource.RLIM_INFINITY and soft < wanted:
        mend = "TasksMax= and LimitNPROC= in the systemd unit, or ulimit -u"
        yield warning(
            "limits", f"{soft} processes and threads are allowed, {settings.movers} movers may want {wanted}", mend
        )
    allowed = _number(proc / "sys/kernel/threads-max")
    if 0 < allowed < wanted:
        yield warning(
            "limits", f"the kernel allows {allowed} threads in all", f"sysctl -w kernel.threads-max={wanted * 4}"
        )


def _watches(proc: Path) -> Iterator[Finding]:
    for name, least, enough in (
        ("max_user_watches", WATCHES_LEAST, 524_288),
        ("max_user_instances", INSTANCES_LEAST, 512),
    ):
        allowed = _number(proc / "sys/fs/inotify" / name)
        if 0 < allowed < least:
            yield warning(
                "limits",
                f"fs.inotify.{name} is {allowed}: `penstock watch` falls back to looking from time to time where it runs out",
                f"sysctl -w fs.inotify.{name}={enough}",
            )


def _number(file: Path) -> int:
    """0 where it is not told."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0
