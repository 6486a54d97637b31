"""A training loop that exports each checkpoint as it is written, and goes on training meanwhile.

The loop is PyTorch's, the model is a toy in plain Python: put yours, and `torch.save(model.state_dict(), file)`, in its place.
What matters is around it:

- a checkpoint is written beside its name and renamed, so that nobody ever sees half of one;
- `submit` returns once the service has taken the file durably; moving it costs the training no time;
- at most two checkpoints are under way: if the bucket is slower than the training, `submit` waits, and no disk fills up;
- an old checkpoint is only removed here once it is in the bucket;
- the last one is waited for, and its checksum compared with the file's.

    export PENSTOCK_ENDPOINT=http://127.0.0.1:8680 PENSTOCK_ACCESS_KEY_ID=… PENSTOCK_ACCESS_KEY_SECRET=…
    python examples/train_and_export.py --root ~/penstock/filesystem --to oss://examplebucket/run-7/
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import deque
from pathlib import Path
from typing import IO

import fastcrc

from penstock.client import Penstock, Submission

UNDER_WAY_MAX = 2
KEPT_HERE = 2
READ_BYTES = 1 << 20


class Model:
    """A line through points, fitted by gradient descent. `ballast_bytes` make its checkpoints as large as real ones."""

    def __init__(self, *, ballast_bytes: int) -> None:
        self.slope, self.offset = 0.0, 0.0
        self._ballast = os.urandom(ballast_bytes)

    def step(self, batch: list[tuple[float, float]], *, rate: float = 0.05) -> float:
        """One step of training; the loss."""
        errors = [(self.slope * x + self.offset - y, x) for x, y in batch]
        self.slope -= rate * sum(error * x for error, x in errors) / len(batch)
        self.offset -= rate * sum(error for error, _ in errors) / len(batch)
        return sum(error * error for error, _ in errors) / len(batch)

    def save(self, file: IO[bytes]) -> None:
        """As `torch.save(model.state_dict(), file)`."""
        file.write(json.dumps({"slope": self.slope, "offset": self.offset}).encode() + b"\n")
        file.write(self._ballast)


def batches(seed: int, size: int = 32) -> list[tuple[float, float]]:
    """Points near y = 3x - 1."""
    chance = random.Random(seed)  # noqa: S311  it is for a toy
    return [(x, 3 * x - 1 + chance.gauss(0, 0.1)) for x in (chance.uniform(-2, 2) for _ in range(size))]


def write_checkpoint(model: Model, path: Path) -> None:
    """Whole or not at all under its name, and durable."""
    partial = path.with_suffix(".tmp")
    with partial.open("wb") as file:
        model.save(file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def crc64(path: Path) -> int:
    """CRC-64/XZ, as the service and the bucket compute it."""
    value = 0
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            value = fastcrc.crc64.xz(piece, value)
    return value


def train(penstock: Penstock, arguments: argparse.Namespace) -> None:
    """Train, and export on the way."""
    directory = Path(arguments.root).expanduser() / arguments.directory.strip("/")
    directory.mkdir(parents=True, exist_ok=True)
    flow = penstock.flow(arguments.directory, arguments.to)
    model = Model(ballast_bytes=arguments.checkpoint_bytes)
    here: deque[tuple[Path, Submission]] = deque()
    with flow.export_stream(in_flight_max=UNDER_WAY_MAX) as stream:
        for step in range(1, arguments.steps + 1):
            loss = model.step(batches(step))
            if step % arguments.every:
                continue
            path = directory / f"step-{step:06}.pt"
            write_checkpoint(model, path)
            here.append((path, stream.submit(path.name)))
            print(f"step {step}: loss {loss:.4f}, {path.name} is on its way")
            while len(here) > KEPT_HERE:
                old, submission = here.popleft()
                submission.wait()  # raises if it is not in the bucket: then it stays here
                old.unlink()
        last, submission = here[-1]
        done = submission.wait(timeout_s=600, on_progress=lambda seen: print(f"{last.name}: {seen.progress:.0%}"))
    if done.crc64 != crc64(last):
        raise SystemExit(f"{last} is not what lies in the bucket")
    print(f"{last.name} is in the bucket, with the same checksum ({done.checksum})")


def main() -> None:
    """Reads the arguments; address and key come from the environment."""
    parser = argparse.ArgumentParser(description="Train, and export each checkpoint as it is written.")
    parser.add_argument("--root", required=True, help="where the file system is mounted here")
    parser.add_argument("--directory", default="/checkpoints/", help="directory of the file system for checkpoints")
    parser.add_argument("--to", required=True, help="where to: oss://BUCKET/PREFIX/")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=10, help="steps between two checkpoints")
    parser.add_argument("--checkpoint-bytes", type=int, default=32 << 20)
    with Penstock.from_environment(on_wait=print) as penstock:
        train(penstock, parser.parse_args())


if __name__ == "__main__":
    main()
