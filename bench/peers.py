"""The peers: which command moves which files, with which settings. Plain values; starts nothing.

All run against the same servers as Penstock, as their makers ship them but for this: how much they do at once is tried out (the
value they ship with is among the choices), parts have 16 MiB (boto3's and those of rclone's downloads are as shipped), nothing is
tried a second time, and no payload is hashed only to be signed where that can be switched off. What they compare and hash by
themselves is in `remarks`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bench.dataset import Dataset

KEY_ID, KEY_SECRET = "benchkeyid01", "benchsecret01"
PEERS = Path(__file__).resolve().parent.parent / ".venv-bench"
PYTHON = PEERS / "bin" / "python"
RCLONE = PEERS / "bin" / "rclone"
AWS_CLI = PEERS / "bin" / "aws"
HERE = Path(__file__).resolve().parent


class Direction(StrEnum):
    """Which way, as seen from the file system."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one contestant does in one run. `directory` is the local one: the target of an import, the source of an export."""

    direction: Direction
    dataset: Dataset
    port: int
    bucket: str
    prefix: str
    directory: Path
    scratch: Path

    @property
    def is_large(self) -> bool:
        """One big file."""
        return self.dataset.files_set.count == 1

    def pairs(self) -> list[tuple[str, str]]:
        """Key and local path of every file."""
        names = self.dataset.files_set.names()
        return [(f"{self.prefix}/{name}", str(self.directory / name)) for name in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program to compare with. `setting` is what its `choices` are called, for people."""

    name: str
    command: Callable[[Job, int], list[str]]
    setting: str
    choices: tuple[int, ...]
    choices_many: tuple[int, ...] = ()
    """For many files, where other values are worth a trial than for one large one."""
    remarks: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    only_large: bool = False
    speaks: frozenset[str] = frozenset({"oss", "s3"})
    """Servers it can be pointed at: those of OSS let everything in here, those of S3 look at signatures."""

    def trials(self, files: int, most: int) -> tuple[int, ...]:
        """At most so many values of its setting for so many files: all of them, or the middle one."""
        values = self.choices_many if files > 1 and self.choices_many else self.choices
        return values if most >= len(values) else values[len(values) // 2 :][:most]


AWS = {
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": KEY_SECRET,
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def environment_of(peer: Peer, plain: Mapping[str, str]) -> dict[str, str]:
    """`plain` without what would steer a peer, and with its own."""
    kept = {name: value for name, value in plain.items() if not name.startswith(("AWS_", "OSS_", "S3_", "RCLONE_"))}
    return {**kept, **peer.environment}


def s5cmd_program() -> str:
    """The program itself, without the small Python script that starts it."""
    found = sorted(PEERS.glob("lib/python3*/site-packages/s5cmd/bin/s5cmd"))
    return str(found[0]) if found else "s5cmd"


def _s5cmd(job: Job, workers: int) -> list[str]:
    program = [
        s5cmd_program(),
        "--endpoint-url",
        f"http://127.0.0.1:{job.port}",
        "--retry-count",
        "0",
        "--log",
        "error",
    ]
    if job.is_large:
        ((key, path),) = job.pairs()
        ends = [f"s3://{job.bucket}/{key}", path]
        copy = ["cp", "--concurrency", str(workers), "--part-size", "16"]
        return [*program, *copy, *(ends if job.direction is Direction.IMPORT else reversed(ends))]
    rows = [
        f"cp s3://{job.bucket}/{key} {path}"
        if job.direction is Direction.IMPORT
        else f"cp {path} s3://{job.bucket}/{key}"
        for key, path in job.pairs()
    ]
    commands = job.scratch / "s5cmd.txt"
    commands.write_text("\n".join(rows) + "\n")
    return [*program, "--numworkers", str(workers), "run", str(commands)]


def _rclone(job: Job, transfers: int) -> list[str]:
    remote = (
        f":s3,provider=Other,access_key_id={KEY_ID},secret_access_key={KEY_SECRET},region=us-east-1,"
        f"endpoint='http://127.0.0.1:{job.port}',no_check_bucket=true:{job.bucket}/{job.prefix}"
    )
    names = job.scratch / "rclone.txt"
    names.write_text("\n".join(job.dataset.files_set.names()) + "\n")
    ends = [remote, str(job.directory)]
    if job.direction is Direction.EXPORT:
        ends.reverse()
    tuning = ["--transfers", str(transfers), "--checkers", str(transfers)]
    if job.is_large:
        tuning = [
            "--multi-thread-streams",
            str(transfers),
            "--s3-upload-concurrency",
            str(transfers),
            "--s3-chunk-size",
            "16M",
        ]
    conf = job.scratch / "rclone.conf"
    conf.touch()
    return [
        str(RCLONE), "copy", *ends, "--files-from", str(names), "--no-traverse", "--config", str(conf),
        "--low-level-retries", "1", "--retries", "1", *tuning,
    ]  # fmt: skip


def _sdk(program: str) -> Callable[[Job, int], list[str]]:
    def command(job: Job, threads: int) -> list[str]:
        count = str(job.dataset.files_set.count)
        place = [str(job.port), job.bucket, job.prefix, str(job.directory)]
        return [str(PYTHON), str(HERE / program), job.direction.value, *place, count, str(threads)]

    return command


def _curl(job: Job, _: int) -> list[str]:
    ((key, path),) = job.pairs()
    url = f"http://127.0.0.1:{job.port}/{job.bucket}/{key}"
    ends = ["-o", path, url] if job.direction is Direction.IMPORT else ["-T", path, url]
    return ["curl", "-sS", "--fail", *ends]


def _aws(job: Job, requests: int) -> list[str]:
    conf = job.scratch / "aws.conf"
    # Payloads are not signed: over plain http it would hash every byte with SHA-256 for that, over https it does not.
    settings = (
        f"max_concurrent_requests = {requests}",
        "multipart_chunksize = 16MB",
        "addressing_style = path",
        "payload_signing_enabled = false",
    )
    conf.write_text("\n  ".join(("[default]\ns3 =", *settings)) + "\n")
    ((key, path),) = job.pairs()
    ends = [f"s3://{job.bucket}/{key}", path]
    copy = ["s3", "cp", "--only-show-errors", "--endpoint-url", f"http://127.0.0.1:{job.port}"]
    return [
        "env",
        f"AWS_CONFIG_FILE={conf}",
        "AWS_MAX_ATTEMPTS=1",
        str(PYTHON),
        str(AWS_CLI),
        *copy,
        *(ends if job.direction is Direction.IMPORT else reversed(ends)),
    ]


def all_peers() -> list[Peer]:
    """Every peer; the middle choice of each setting is the one that is used where none is tried out."""
    return [
        Peer(
            name="s5cmd",
            command=_s5cmd,
            setting="concurrency (large) or numworkers",
            choices=(5, 16, 64),
            choices_many=(16, 64, 256),
            environment=AWS,
            remarks="MD5 and SHA-256 of uploads, over http as over https, signed or not; downloads compare nothing",
        ),
        Peer(
            name="rclone",
            command=_rclone,
            setting="streams (large) or transfers",
            choices=(4, 16, 32),
            environment=AWS,
            remarks="MD5 of uploads; compares sizes, because neither server's ETag is an MD5",
        ),
        Peer(
            name="boto3",
            command=_sdk("sdk_boto3.py"),
            setting="threads",
            choices=(4, 10, 20),
            environment=AWS,
            remarks="CRC-32 of uploads by default; downloads compare nothing here",
        ),
        Peer(
            name="AWS CLI",
            command=_aws,
            setting="max_concurrent_requests",
            choices=(4, 10, 20),
            only_large=True,
            environment=AWS,
            remarks="CRC-32 of uploads by default; downloads compare nothing here",
        ),
        Peer(
            name="OSS SDK",
            command=_sdk("sdk_oss.py"),
            setting="threads",
            choices=(3, 6, 12),
            environment=AWS,
            speaks=frozenset({"oss"}),
            remarks="CRC-64 of uploads, and of downloads by its downloader",
        ),
        Peer(
            name="curl",
            command=_curl,
            setting="none",
            choices=(1,),
            only_large=True,
            environment=AWS,
            speaks=frozenset({"oss"}),
            remarks="one stream, no parts, no checksum: what the floor is held against",
        ),
    ]


def installed(peer: Peer, environment: Mapping[str, str]) -> bool:
    """Whether its program is there."""
    if peer.name == "curl":
        return any(os.access(os.path.join(part, "curl"), os.X_OK) for part in environment.get("PATH", "").split(":"))
    programs = {"s5cmd": Path(s5cmd_program()), "rclone": RCLONE, "AWS CLI": AWS_CLI}
    return programs.get(peer.name, PYTHON).exists()
