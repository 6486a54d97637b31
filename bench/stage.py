"""The stage of one run: directories, files, servers, Penstock, and their removal however the run ends.

Everything that a disk matters for lies below one directory, on one file system, which the results name.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.contest import Arena, free_bytes
from bench.dataset import SINK_BUCKET, SOURCE_BUCKET, Dataset, make_dataset
from bench.ending import scratch, to_the_end
from bench.peers import Direction
from bench.scale import GIB, FileSet, Scale
from bench.servers import far_ends
from bench.service import Penstock

ROOM_BYTES = 12 * GIB
CREATE_CALM_S = 60e-6
CREATE_SAMPLE = 200
MEMORY = Path("/dev/shm")  # noqa: S108  (only the sink's small records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All that a scenario needs."""

    scale: Scale
    directory: Path
    arena: Arena
    datasets: Mapping[str, Dataset]
    say: Callable[[str], None]

    @property
    def penstock(self) -> Penstock:
        """The service that takes part in the contests."""
        return self.arena.penstock

    @contextlib.contextmanager
    def another(
        self, name: str, *, settings: Mapping[str, int] | None = None, root: Path | None = None
    ) -> Iterator[Penstock]:
        """A service of its own on a new HOME, with both buckets; removed at the end, a `root` that is given as well."""
        home = self.directory / name
        root = root or self.directory / f"{name}-fs"
        root.mkdir()
        service = Penstock(home, root, settings=settings)
        try:
            service.add_bucket(SOURCE_BUCKET, self.arena.source_port)
            service.add_bucket(SINK_BUCKET, self.arena.sink.port)
            yield service
        finally:
            service.stop()
            shutil.rmtree(home)
            shutil.rmtree(root)


def silence(service: Penstock, bucket: str, port: int) -> None:
    """From now on the bucket's server takes connections and answers nothing: what is accepted waits."""
    path = service.home / "penstock.toml"
    text = path.read_text()
    head, found, tail = text.partition(f"[bucket.{bucket}]")
    tail = re.sub(r'(?m)^endpoint = ".*"$', f'endpoint = "http://127.0.0.1:{port}"', tail, count=1)
    path.write_text(head + found + tail)
    service.again()


def await_calm_inodes(directory: Path, say: Callable[[str], None], *, limit_s: float) -> None:
    """Waits, so long at most, while making files is slow here because many were removed within the last minutes (ext4)."""
    until = time.monotonic() + limit_s
    while (each_s := _create_cpu_s(directory)) > CREATE_CALM_S:
        if time.monotonic() > until:
            say(
                f"making a file still costs {each_s * 1e6:.0f} µs of CPU here: imports of small files will look expensive to all"
            )
            return
        say(f"making a file costs {each_s * 1e6:.0f} µs of CPU: inodes were freed here lately; waiting")
        time.sleep(min(30.0, limit_s / 2))


def _create_cpu_s(directory: Path) -> float:
    """CPU seconds of making one empty file."""
    place = directory / "calm"
    place.mkdir(exist_ok=True)
    names = [place / f"{time.monotonic_ns()}-{number}" for number in range(CREATE_SAMPLE)]
    begun = time.thread_time()
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
    return (time.thread_time() - begun) / len(names)


@contextlib.contextmanager
def open_stage(
    scale: Scale,
    *,
    parent: Path,
    sets: Sequence[FileSet],
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> Iterator[Stage]:
    """Makes everything and takes it away again. Raises OSError where the disk has no room."""
    if free_bytes(parent) < ROOM_BYTES:
        raise OSError(f"{parent} has less than {ROOM_BYTES >> 30} GiB free; name another directory with --dir")
    with to_the_end() as stack:
        directory = stack.enter_context(scratch(parent))
        records = directory
        if MEMORY.is_dir():
            records = stack.enter_context(scratch(MEMORY))
        root = directory / "fs"
        (root / "in").mkdir(parents=True)
        if scale.calm_limit_s:
            await_calm_inodes(root / "in", say, limit_s=scale.calm_limit_s)
        (directory / "objects" / SOURCE_BUCKET).mkdir(parents=True)
        datasets: dict[str, Dataset] = {}
        for each in sets:
            say(f"making {each.words()}")
            datasets[each.name] = make_dataset(directory, root, each)
        source, sink = stack.enter_context(far_ends(directory, records, list(datasets.values())))
        say("starting Penstock")
        penstock = Penstock(directory / "home", root)
        stack.callback(penstock.stop)
        penstock.add_bucket(SOURCE_BUCKET, source.port)
        penstock.add_bucket(SINK_BUCKET, sink.port)
        flows = {
            Direction.IMPORT: penstock.flow(SOURCE_BUCKET, "/in/"),
            Direction.EXPORT: penstock.flow(SINK_BUCKET, "/out/"),
        }
        arena = Arena(
            directory=directory,
            root=root,
            source_port=source.port,
            sink=sink,
            penstock=penstock,
            flows=flows,
            environment=environment,
            say=say,
        )
        yield Stage(scale=scale, directory=directory, arena=arena, datasets=datasets, say=say)
