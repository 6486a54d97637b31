"""Getting the suite, starting the emulator that it judges, and running its modules side by side, each in a process of its own.

Calls pip, `penstock emulator` and `judge`. The suite's files are used as they were downloaded.
"""

from __future__ import annotations

import ast
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.emulator_fidelity.scope import VERSION

READY_S = 30.0
END_S = 20.0
TEST_S = 600
MODULE_S = 1800
REGION = "cn-hangzhou"
JUDGE = Path(__file__).with_name("judge.py")
# The archive lacks the picture that two tests put: they look at nothing but its length and type.
PICTURE = Path("tests/example.jpg")


class SuiteError(Exception):
    """The suite could not be had or run; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a test ended: `passed`, `failed`, `error` or `skipped`; `words` are its last ones."""

    end: str
    words: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it found nothing wrong."""
        return self.end == "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A running one."""

    port: int
    access_key_id: str
    access_key_secret: str


def fetch(python: Path, folder: Path) -> Path:
    """The suite's directory beneath `folder`, downloaded by `python`'s pip if it is not there yet. Raises SuiteError."""
    found = folder / f"oss2-{VERSION}"
    if found.is_dir():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "-qq"]
    wanted: list[str | Path] = ["--no-deps", "--no-binary", ":all:", "-d", folder, f"oss2=={VERSION}"]
    if subprocess.run([*pip, *wanted], check=False, stderr=subprocess.DEVNULL).returncode:
        raise SuiteError(f"pip could not download the source distribution of oss2 {VERSION}")
    with tarfile.open(folder / f"oss2-{VERSION}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return found


def tests_of(suite: Path) -> dict[str, int]:
    """How many tests each of the suite's modules holds."""
    return {path.stem: _count(ast.parse(path.read_bytes())) for path in sorted((suite / "tests").glob("test_*.py"))}


def _count(tree: ast.Module) -> int:
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return sum(
        len(
            {node.name for node in ast.walk(each) if isinstance(node, ast.FunctionDef) and node.name.startswith("test")}
        )
        for each in classes
    )


@contextmanager
def emulator(root: Path) -> Iterator[Emulator]:
    """`penstock emulator` over `root` on a free port. Raises SuiteError."""
    keys = {
        "OSS_ACCESS_KEY_ID": f"LTAI{secrets.token_hex(8)}",
        "OSS_ACCESS_KEY_SECRET": secrets.token_hex(15),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "penstock.cli", "emulator", root, "--port", "0"],
        env=os.environ | keys,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], READY_S)
            said = process.stdout.readline() if ready else b""
            if not said:
                raise SuiteError("the emulator did not start")
            port = urlsplit(json.loads(said)["oss"]).port
            assert port is not None
            yield Emulator(
                port=port, access_key_id=keys["OSS_ACCESS_KEY_ID"], access_key_secret=keys["OSS_ACCESS_KEY_SECRET"]
            )
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def run(
    python: Path, suite: Path, modules: Sequence[str], *, signature: str, workers: int
) -> dict[str, dict[str, Verdict]]:
    """Each module's verdicts by test (`module.Class.test`), with `signature` "v4" or "v1". Raises SuiteError."""
    with tempfile.TemporaryDirectory(prefix="emulator-fidelity-") as name:
        scratch = Path(name)
        with emulator(scratch / "root") as server, ThreadPoolExecutor(workers) as pool:
            place = _Place(python=python, suite=suite, scratch=scratch, signature=signature)
            told = pool.map(lambda module: _module(module, place, server), modules)
            return dict(zip(modules, told, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where modules run, and how they sign."""

    python: Path
    suite: Path
    scratch: Path
    signature: str


def _module(module: str, at: _Place, server: Emulator) -> dict[str, Verdict]:
    """In a copy of the suite, because tests leave files where they run."""
    place, results = at.scratch / module, at.scratch / f"{module}.json"
    shutil.copytree(at.suite, place)
    if not (place / PICTURE).exists():
        (place / PICTURE).write_bytes(bytes(range(256)) * 8)
    command: list[str | Path] = [at.python, JUDGE, str(server.port), str(TEST_S), results, f"tests.{module}"]
    done = subprocess.run(
        command,
        cwd=place,
        env=_environment(server, at.signature),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=MODULE_S,
        check=False,
    )
    if done.returncode or not results.exists():
        raise SuiteError(f"{module} could not be run: {done.stderr.decode(errors='replace')[-2000:]}")
    read: Mapping[str, Mapping[str, str | float]] = json.loads(results.read_bytes())
    return {
        test.removeprefix("tests."): Verdict(
            end=str(found["end"]), words=str(found["words"]), seconds=float(found["seconds"])
        )
        for test, found in read.items()
    }


def _environment(server: Emulator, signature: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {
        "OSS_TEST_ACCESS_KEY_ID": server.access_key_id,
        "OSS_TEST_ACCESS_KEY_SECRET": server.access_key_secret,
        "OSS_TEST_ENDPOINT": f"http://oss-{REGION}.aliyuncs.com",
        "OSS_TEST_REGION": REGION,
        "OSS_TEST_AUTH_VERSION": signature,
    }
