"""The locks: `requirements/{runtime,test,check}.txt`, written from pyproject.toml and judged against what is installed.

Writing asks pip to resolve (nothing is installed) and keeps `name==version` only. A later lock holds what it adds to the
earlier ones, and is resolved under their pins, so the three can be installed together. Hashes and addresses are left out
on purpose: a hash names one file, while another processor, or a machine that installs from its own wheel directory,
rightly takes another file of the same version; and where packages come from is the machine's affair, not the project's.

Judging (`--check`) needs no network: the closure of pyproject's requirements, walked through the installed packages'
metadata, must be exactly what the locks pin. This program never prints where pip looked.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
GROUPS = ("runtime", "test", "check")
OLDEST_PYTHON = (3, 11)

HEADER = """\
# Written by `make locks` from pyproject.toml; do not edit. Group: {group}.
# Exact versions without hashes, because a hash names the file for one processor, and without addresses,
# because where packages come from is each machine's own setting.
"""


def wanted(project: Mapping[str, object]) -> dict[str, list[str]]:
    """The requirements that pyproject.toml states, by group, in the order in which the locks build on each other."""
    table = project["project"]
    groups = project["dependency-groups"]
    if not isinstance(table, Mapping) or not isinstance(groups, Mapping):
        raise TypeError("pyproject.toml: [project] and [dependency-groups] must be tables")
    return {"runtime": list(table["dependencies"])} | {name: list(groups[name]) for name in GROUPS[1:]}


def parse(text: str) -> dict[str, str]:
    """Pins of one lock as {canonical name: version}. Raises ValueError for a line that is not `name==version`."""
    pins: dict[str, str] = {}
    for line in text.splitlines():
        stated = line.partition("#")[0].strip()
        if not stated:
            continue
        name, equals, version = stated.partition("==")
        if not equals or not version or any(character in stated for character in " :/@;"):
            raise ValueError(f"not a plain name==version: {line!r}")
        pins[canonicalize_name(name)] = version
    return pins


def read(group: str) -> dict[str, str]:
    """The pins of `requirements/<group>.txt`."""
    return parse((FOLDER / f"{group}.txt").read_text(encoding="utf-8"))


def render(group: str, pins: Mapping[str, str]) -> str:
    """The text of one lock."""
    return HEADER.format(group=group) + "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def resolve(requirements: Iterable[str], pinned: Mapping[str, str]) -> dict[str, str]:
    """Ask pip what `requirements` come to under the pins already chosen; network, no installation.

    Raises RuntimeError when they cannot be met; pip's own words are on stderr by then.
    """
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch, "constraints.txt")
        constraints.write_text("".join(f"{n}=={v}\n" for n, v in pinned.items()), encoding="utf-8")
        report = Path(scratch, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-qq", "--no-input"]
        command += ["--report", str(report), "--constraint", str(constraints), *requirements]
        if subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode != 0:
            raise RuntimeError("pip could not resolve " + ", ".join(requirements))
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    pins: dict[str, str] = {
        canonicalize_name(item["metadata"]["name"]): str(item["metadata"]["version"]) for item in found
    }
    local = [f"{name}=={version}" for name, version in pins.items() if "+" in version]
    if local:
        raise RuntimeError("versions that only this machine has: " + ", ".join(local))
    return pins


def write() -> None:
    """Resolve all groups anew and write their locks. Raises RuntimeError as `resolve` does."""
    if sys.version_info[:2] != OLDEST_PYTHON:
        raise RuntimeError("locks are made with the oldest Python that is supported, 3.11")
    chosen: dict[str, str] = {}
    asked: list[str] = []
    FOLDER.mkdir(exist_ok=True)
    for group, requirements in wanted(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))).items():
        asked += requirements
        found = resolve(asked, chosen)
        added = {name: version for name, version in found.items() if name not in chosen}
        (FOLDER / f"{group}.txt").write_text(render(group, added), encoding="utf-8")
        chosen |= added
        sys.stdout.write(f"locks: {group}: {len(added)} packages\n")


def closure(requirements: Iterable[str]) -> tuple[set[str], list[str]]:
    """Canonical names that `requirements` come to among the installed packages, and complaints in plain words."""
    complaints: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            complaints.append(f"{requirement} is wanted but not installed")
            continue
        if not requirement.specifier.contains(package.version, prereleases=True):
            complaints.append(f"{requirement} is wanted but {package.version} is installed")
        for chosen in {"", *requirement.extras}:
            if (name, chosen) not in seen:
                seen.add((name, chosen))
                waiting += [(Requirement(text), chosen) for text in package.requires or ()]
    return {name for name, _ in seen}, complaints


def judge() -> list[str]:
    """What is wrong with the locks, in plain words; empty when they are current."""
    complaints: list[str] = []
    pinned: dict[str, str] = {}
    asked: list[str] = []
    for group, requirements in wanted(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))).items():
        pinned |= read(group)
        asked += requirements
        needed, unmet = closure(asked)
        complaints += [f"{group}: {text}" for text in unmet]
        complaints += [f"{group}: {name} is needed but not pinned" for name in sorted(needed - pinned.keys())]
        complaints += [f"{group}: {name} is pinned but nothing needs it" for name in sorted(pinned.keys() - needed)]
    for name, version in sorted(pinned.items()):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            complaints.append(f"{name}=={version} is pinned but not installed")
            continue
        if installed != version:
            complaints.append(f"{name}=={version} is pinned but {installed} is installed")
    return list(dict.fromkeys(complaints))


def main(arguments: list[str] | None = None) -> int:
    """Write the locks, or with `--check` judge them; the exit status says how it went."""
    parser = argparse.ArgumentParser(description="Write or judge the pinned requirement files.")
    parser.add_argument("--check", action="store_true", help="judge only; no network, nothing is written")
    if not parser.parse_args(arguments).check:
        write()
        return 0
    complaints = judge()
    sys.stderr.write("".join(f"locks: {text}\n" for text in complaints))
    if complaints:
        sys.stderr.write(
            "locks: run `make locks` after a change of requirements, `make venv` to install what is pinned\n"
        )
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
