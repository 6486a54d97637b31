"""Does each error that a disk may answer to an export end as a clear failure that leaves no upload, and does the service go on?

The source: it cannot be looked at, opened, read, or read to its end. And the record of a large export, which the service keeps in
its catalog: that log cannot be written or synced.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from penstock.errors import ApiRefusedError, FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind
from penstock.settings.home import Home
from penstock.stores.credentials import load_credentials
from penstock.stores.opening import open_store
from tests.faults.matrix.smallservice import LARGE_BYTES, MIDDLING_BYTES, SMALL_BYTES
from tests.faults.power.exportvictim import BODIES
from tests.faults.power.recording import IS_WHOLE, ROOM, SERVICE, body_of
from tests.fixtures.service import init_home, start_service
from tests.fixtures.site import Site, Stream
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.xdist_group("power")

Answer = TypeVar("Answer")

PATIENCE_S = 30.0
SOURCE = "data.bin"
LOOKS = "newfstatat,fstat,statx"
READS = "preadv,preadv2"
"""Which of them the libraries of this machine take; each is counted by itself."""

EIO = (FailureCode.IO_ERROR, "the file system reported an input/output error: see the kernel's log")
ESTALE = (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the network file system lost it (stale handle)")
EACCES = (FailureCode.PERMISSION_DENIED, "the service's user lacks the right: see owner and mode")
CHANGED = (FailureCode.SOURCE_CHANGED, "was changed while it was read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Errors of calls on the source, as strace takes them. `told` is said of the first attempt, `verdicts` of all.

    `uploads` are those that are left for the second attempt to go on with.
    """

    kind: str
    injected: Sequence[str]
    told: tuple[FailureCode, str] = EIO
    verdicts: tuple[str, ...] = ("retry", "complete", "tidied")
    uploads: int = 0

    def __str__(self) -> str:
        return (
            "-".join([self.kind, *self.injected])
            .replace(":", "-")
            .replace("error=", "")
            .replace(LOOKS, "look")
            .replace(READS, "read")
        )


FOR_EVER = ("retry", "retry", "canceled")
TELLING = (
    Case(kind="small", injected=(f"{LOOKS}:error=EIO:when=3",)),  # was it changed meanwhile?
    Case(kind="middling", injected=(f"{READS}:error=EIO:when=6",)),  # the last grain of what is being sent
    Case(kind="large", injected=(f"{READS}:error=EIO:when=2+",), verdicts=FOR_EVER, uploads=1),
    # What the first attempt began the second one removes, for nobody will go on with it.
    Case(
        kind="large",
        injected=(f"{READS}:error=EIO:when=3", "openat:error=EACCES:when=2"),
        verdicts=("retry", "failed", "canceled"),
        uploads=1,
    ),
)
OTHERS = (
    *(
        Case(kind=kind, injected=(call,), told=told)
        for kind in ("small", "middling", "large")
        for call, told in (
            (f"{LOOKS}:error=EIO:when=1", EIO),
            (f"{LOOKS}:error=EIO:when=2", EIO),
            ("openat:error=EIO:when=1", EIO),
            ("openat:error=ESTALE:when=1", ESTALE),
        )
    ),
    *(Case(kind=kind, injected=(f"{READS}:error=EIO:when=1",)) for kind in ("small", "middling")),
    *(Case(kind=kind, injected=(f"{READS}:error=EIO:when=1+",), verdicts=FOR_EVER) for kind in ("small", "middling")),
    *(
        Case(kind=kind, injected=("openat:error=EACCES:when=1",), told=EACCES, verdicts=("failed", "canceled"))
        for kind in ("small", "middling", "large")
    ),
    Case(kind="small", injected=(f"{LOOKS}:error=ENOENT:when=3",), told=CHANGED),
    Case(kind="middling", injected=(f"{READS}:error=EIO:when=2",)),  # what it is
    Case(kind="middling", injected=(f"{READS}:error=EIO:when=4",)),  # while it is sent
    Case(kind="large", injected=(f"{READS}:error=EIO:when=1",), uploads=1),
    Case(kind="large", injected=(f"{READS}:error=ESTALE:when=3",), told=ESTALE, uploads=1),
    Case(kind="large", injected=(f"{LOOKS}:error=EIO:when=3",), uploads=1),
)


@pytest.mark.parametrize("case", TELLING + OTHERS if IS_WHOLE else TELLING, ids=str)
def test_an_error_of_the_source_is_told_leaves_no_upload_and_is_got_over(tmp_path: Path, case: Case) -> None:
    trace, place = tmp_path / "trace", tmp_path / "fs"
    (place / "base").mkdir(parents=True)
    (place / "base" / SOURCE).write_bytes(BODIES[case.kind])
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={LOOKS},openat,{READS}"]
    command += [word for one in case.injected for word in ("-e", f"inject={one}")]
    command += [word for name in (SOURCE, str(place / "base" / SOURCE)) for word in ("-P", name)]
    command += [sys.executable, "-m", "tests.faults.power.exportvictim", str(place), case.kind]
    done = subprocess.run(command, cwd=ROOM, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert trace.read_text().count("(INJECTED)") >= len(case.injected), "the calls were not made"
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert tuple(each["verdict"] for each in told) == case.verdicts, told
    code, words = case.told
    assert told[0]["code"] == code
    assert told[0]["message"].endswith(words)
    assert "/base/data.bin" in told[0]["message"]
    assert told[0]["uploads"] == case.uploads
    for each in told:
        assert each["target"] == ("new" if "complete" in case.verdicts and each is not told[0] else "old")
        assert each["left"] == []
        if each["verdict"] != "retry":
            assert each["uploads"] == 0


# ------------------------------------------------------------------------------------------------------------- the service


@contextmanager
def served(tmp_path: Path, *, path: str, injected: Sequence[str]) -> Iterator[Site]:
    """An installed service, calls of which fail on one path below `tmp_path`; it tries four times, with short waits."""
    home = tmp_path / "home"
    init_home(home)
    settings = home / "penstock.toml"
    settings.write_text(settings.read_text().replace("attempts_max = 8", "attempts_max = 4"))
    calls = ",".join(one.partition(":")[0] for one in injected)
    tracer = ["strace", "-D", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", f"trace={calls}"]
    tracer += [word for one in injected for word in ("-e", f"inject={one}")]
    tracer += ["-P", str(tmp_path / path), "--"]
    site = Site.of(start_service(home, environment={"PYTHONPATH": str(ROOM)}, command=(*tracer, *SERVICE)))
    try:
        yield site
        assert site.service.process.poll() is None
        assert "(INJECTED)" in (tmp_path / "trace").read_text(), "the calls were not made"
    finally:
        site.close()


def in_bucket(site: Site, *, prefix: str) -> tuple[list[str], list[str]]:
    """Keys, and keys of unfinished uploads."""
    init = site.service.init
    bucket = Bucket(
        name=init["bucket"],
        kind=BucketKind.OSS,
        endpoint=site.service.oss,
        region=init["region"],
        addressing_style=AddressingStyle.PATH,
    )
    key = load_credentials(Home(path=site.service.home).secrets_file, bucket.name)
    with closing(open_store(bucket, key)) as store:
        keys = [one.key for one in store.list_objects(prefix=prefix).objects]
        return keys, [one.key for one in store.list_uploads(prefix=prefix)]


def patiently(ask: Callable[[], Answer]) -> Answer:
    """The answer to a call that has a token, made again while the catalog cannot take it."""

    def asked() -> tuple[Answer] | None:
        try:
            return (ask(),)
        except ApiRefusedError as error:
            if error.code != "ServiceUnavailable":
                raise
            return None

    got = wait_until(asked, PATIENCE_S, "the catalog takes nothing")
    assert got is not None
    return got[0]


def export_all(site: Site, sizes: Mapping[str, int]) -> tuple[Stream, str, Mapping[str, str]]:
    """Files of those names and sizes: their stream, their directory, their ids."""
    place, here = site.place()
    stream = patiently(lambda: site.stream(here, "StreamExport"))
    ids: dict[str, str] = {}
    for name, size_bytes in sizes.items():
        (place / name).write_bytes(body_of(name, size_bytes))
        asked = {
            "DataFlowId": stream.data_flow_id,
            "DataFlowTaskId": stream.task_id,
            "SrcFilePath": f"/{name}",
            "DstFilePath": f"/{name}",
            "ClientToken": name,
        }
        made = patiently(functools.partial(site.call, "CreateDataFlowSubTask", **asked))
        ids[name] = str(made["DataFlowSubTaskId"])
    return stream, here, ids


@pytest.mark.parametrize("size_bytes", [LARGE_BYTES, MIDDLING_BYTES, SMALL_BYTES] if IS_WHOLE else [LARGE_BYTES])
def test_a_source_that_cannot_be_read_is_failed_and_others_go_on(tmp_path: Path, size_bytes: int) -> None:
    bad = "home/filesystem/place1/bad"
    with served(tmp_path, path=bad, injected=(f"{READS}:error=EIO:when=1+",)) as site:
        stream, here, ids = export_all(site, {"bad": size_bytes, "good": SMALL_BYTES, "large": LARGE_BYTES})
        rows = site.ended(stream)
        assert {name: rows[each]["Status"] for name, each in ids.items()} == {
            "bad": "FAILED",
            "good": "COMPLETE",
            "large": "COMPLETE",
        }
        assert rows[ids["bad"]]["ErrorMsg"] == (
            "InputOutputError: /place1/bad: the file system reported an input/output error: see the kernel's log"
            " (the last of 4 attempts)"
        )
        assert in_bucket(site, prefix=here) == ([f"{here}/good", f"{here}/large"], [])


TROUBLES = ("fdatasync:error=EIO:when=6+5", "pwrite64:error=EIO:when=160+170", "pwrite64:error=ENOSPC:when=160+170")


@pytest.mark.skipif(not IS_WHOLE, reason="`make power-cuts` tries it")
@pytest.mark.parametrize("injected", TROUBLES, ids=lambda words: words.partition(":when")[0])
def test_large_exports_whose_record_cannot_be_kept_now_and_then_end_whole(tmp_path: Path, injected: str) -> None:
    """Again and again: when their intent is to be durable, their upload's id, and when they are settled.

    The numbers are of calls of one thread, and beyond those that a start makes.
    """
    with served(tmp_path, path="home/catalog.db-wal", injected=(injected,)) as site:
        sizes = {f"{number}": LARGE_BYTES for number in range(6)}
        stream, here, _ = export_all(site, sizes)
        site.all_complete(stream)
        assert in_bucket(site, prefix=here) == ([f"{here}/{name}" for name in sizes], [])
