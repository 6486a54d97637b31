"""The same contest on a real object store: Ceph RGW on this machine, source and sink in one; all sign, Penstock as kind s3.

RGW takes most of the CPU there is, so walls say little about clients; their CPU does. No floor here: it cannot sign.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.contest import Arena, Contest, Program, measure_program
from bench.dataset import SINK_BUCKET, SOURCE_BUCKET, Dataset, make_dataset
from bench.peers import HERE, KEY_ID, KEY_SECRET, PYTHON, Direction, Job, all_peers, environment_of
from bench.scenarios.movement import by_doors, contested
from bench.scenarios.scenario import Choices, Found, Scenario
from bench.service import Penstock
from bench.stage import Stage
from tests.fixtures.ceph_cluster import PROGRAMS, CephCluster

CLIENT_S = 300
FILL_WORKERS = 8
SIZES = ("large", "medium", "small")
WAYS = {f"ceph-{size}-{way}": (SIZES.index(size), way) for size in SIZES for way in Direction}


class Gateway:
    """A running RGW and what is asked of it besides the contest."""

    def __init__(self, cluster: CephCluster, port: int) -> None:
        self._cluster = cluster
        self.port = port

    def make(self, bucket: str) -> None:
        """A bucket that dataflows accept."""
        self._run("make", bucket)

    def forget(self) -> None:
        """Empties the sink and gives its room back."""
        self._run("empty", SINK_BUCKET)
        self._cluster.collect_garbage()

    def taken(self, prefix: str) -> tuple[int, int, int]:
        """Objects below a prefix of the sink, their bytes, their checksums mixed: all of them read back."""
        count, total, mixed = self._run("taken", SINK_BUCKET, f"{prefix}/").split()
        return int(count), int(total), int(mixed)

    def _run(self, command: str, bucket: str, *more: str) -> str:
        words = [str(PYTHON), str(HERE / "rgw_client.py"), command, str(self.port), bucket, *more]
        return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=CLIENT_S).stdout


def measure(stage: Stage, choices: Choices, names: Sequence[str]) -> Found:
    """Rows for each contest that is wanted; none where Ceph is not installed."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        stage.say(f"  Ceph is not installed ({', '.join(missing)} missing); `make deb` installs it")
        return {}
    found: Found = {}
    with _gateway(stage) as gateway, _arena(stage, gateway) as arena:
        for number in sorted({WAYS[name][0] for name in names}):
            files_set = stage.scale.ceph[number]
            dataset = make_dataset(stage.directory, arena.root, files_set)
            _fill(arena, dataset)
            for name in names:
                if WAYS[name][0] == number:
                    contest = Contest(arena, dataset, WAYS[name][1])
                    ours = by_doors(stage, arena, files_set.count)
                    found[name] = contested(contest, stage, choices, ours, protocol="s3")
    return found


@contextmanager
def _gateway(stage: Stage) -> Iterator[Gateway]:
    cluster = CephCluster(stage.directory / "ceph", keys=(KEY_ID, KEY_SECRET))
    try:
        stage.say("  starting Ceph")
        gateway = Gateway(cluster, cluster.start())
        for bucket in (SOURCE_BUCKET, SINK_BUCKET):
            gateway.make(bucket)
        yield gateway
    finally:
        cluster.stop()


@contextmanager
def _arena(stage: Stage, gateway: Gateway) -> Iterator[Arena]:
    """A Penstock of its own, with both buckets at the gateway."""
    root = stage.directory / "ceph-fs"
    root.mkdir()
    service = Penstock(stage.directory / "ceph-home", root)
    try:
        for bucket in (SOURCE_BUCKET, SINK_BUCKET):
            service.add_bucket(bucket, gateway.port, kind="s3")
        flows = {
            Direction.IMPORT: service.flow(SOURCE_BUCKET, "/in/", kind="s3"),
            Direction.EXPORT: service.flow(SINK_BUCKET, "/out/", kind="s3"),
        }
        yield replace(stage.arena, root=root, source_port=gateway.port, sink=gateway, penstock=service, flows=flows)
    finally:
        service.stop()


def _fill(arena: Arena, dataset: Dataset) -> None:
    """Puts the files into the source bucket; s5cmd does it."""
    (s5cmd,) = (peer for peer in all_peers() if peer.name == "s5cmd")
    job = Job(
        direction=Direction.EXPORT,
        dataset=dataset,
        port=arena.source_port,
        bucket=SOURCE_BUCKET,
        prefix=dataset.files_set.name,
        directory=dataset.files,
        scratch=arena.directory,
    )
    environment = environment_of(s5cmd, arena.environment)
    measure_program(arena, Program(command=s5cmd.command(job, FILL_WORKERS), environment=environment))


SCENARIOS = dict.fromkeys(WAYS, Scenario(measure=measure))
