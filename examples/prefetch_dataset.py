"""A consumer of a dataset that lies in a bucket: shards are imported ahead of it, so that it waits for none but the first.

On asyncio, without a thread. What matters:

- while one shard is used, the next ones (`--ahead`) are on their way;
- no more than that lie here at once: a shard is removed when it was used, so that a dataset may be larger than the disk;
- a shard that is here already is not moved again (SKIP_THE_FILE), so a second epoch over a small dataset is quick: `--keep`;
- each has a checksum, and is compared with it before it is used.

    export PENSTOCK_ENDPOINT=http://127.0.0.1:8680 PENSTOCK_ACCESS_KEY_ID=… PENSTOCK_ACCESS_KEY_SECRET=…
    python examples/prefetch_dataset.py --root ~/penstock/filesystem --storage oss://examplebucket/data/ --make 20
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

import fastcrc

from penstock.client import AsyncPenstock, AsyncStream, AsyncSubmission, ConflictPolicy

RECORD_BYTES = 1024


async def prefetched(
    stream: AsyncStream, names: Iterable[str], *, ahead: int
) -> AsyncGenerator[tuple[str, int | None], None]:
    """The shards in order, each with its CRC-64 once it is here; `ahead` of them are on their way meanwhile."""
    under_way: deque[tuple[str, AsyncSubmission]] = deque()
    left = iter(names)
    while True:
        while len(under_way) <= ahead and (name := next(left, None)) is not None:
            under_way.append((name, await stream.submit(name)))
        if not under_way:
            return
        name, submission = under_way.popleft()
        done = await submission.wait(timeout_s=600)
        yield name, done.crc64


def use(path: Path, expected: int | None) -> int:
    """What stands for a step of training: reads all records of a shard; how many there were."""
    content = path.read_bytes()
    if expected is not None and fastcrc.crc64.xz(content) != expected:
        raise SystemExit(f"{path} is damaged")
    return len(content) // RECORD_BYTES


async def consume(penstock: AsyncPenstock, arguments: argparse.Namespace, directory: Path) -> None:
    """All epochs."""
    flow = await penstock.flow(arguments.directory, arguments.storage)
    names = [f"shard-{number:05}.bin" for number in range(arguments.make or arguments.shards)]
    if arguments.make:
        await make(await flow.export_stream(), directory, names)
    stream = await flow.import_stream(policy=ConflictPolicy.SKIP_THE_FILE)
    for epoch in range(1, arguments.epochs + 1):
        records, most_here = 0, 0
        async with aclosing(prefetched(stream, names, ahead=arguments.ahead)) as shards:
            async for name, expected in shards:
                most_here = max(most_here, len(os.listdir(directory)))
                records += await asyncio.to_thread(use, directory / name, expected)
                if not arguments.keep:
                    (directory / name).unlink()
        print(f"epoch {epoch}: {records} records of {len(names)} shards, at most {most_here} of them here at once")


async def make(stream: AsyncStream, directory: Path, names: list[str]) -> None:
    """A dataset to play with: shards of random records, exported, and removed here."""
    for name in names:
        (directory / name).write_bytes(os.urandom(64 * RECORD_BYTES))
    for name in names:
        await stream.submit(name)
    await stream.wait()
    for name in names:
        (directory / name).unlink()


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    """Address and key come from the environment."""
    async with AsyncPenstock.from_environment(on_wait=print) as penstock:
        await consume(penstock, arguments, directory)


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description="Use a dataset that lies in a bucket, imported ahead of its use.")
    parser.add_argument("--root", required=True, help="where the file system is mounted here")
    parser.add_argument("--directory", default="/dataset/", help="directory of the file system for shards")
    parser.add_argument("--storage", required=True, help="where the shards are: oss://BUCKET/PREFIX/")
    parser.add_argument("--shards", type=int, default=20, help="how many there are: shard-00000.bin and so on")
    parser.add_argument("--make", type=int, default=0, help="make so many first")
    parser.add_argument("--ahead", type=int, default=4, help="how many are imported ahead")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep shards here for the next epoch")
    arguments = parser.parse_args()
    directory = Path(arguments.root).expanduser() / arguments.directory.strip("/")
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(arguments, directory))


if __name__ == "__main__":
    main()
