"""Licences of what Penstock imports at run time: refuses what may not be there, writes `THIRD_PARTY.md`.

Walks the pins of `requirements/runtime.txt` through the metadata of the installed packages. A statement that is not
understood is refused until a ruling below, with its reason, names exactly that statement; so a package that changes its
licence is refused again. Programs under GPL or AGPL are never imported: they may only be run as separate processes.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from scripts import locks

TARGET = locks.ROOT / "THIRD_PARTY.md"

# Families that a runtime dependency may be under. A bare "BSD" is a package that does not say which of the BSD texts.
ALLOWED = frozenset(
    {
        "Apache-2.0",
        "MIT",
        "MIT-0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "PSF-2.0",
        "Python-2.0",
        "MPL-2.0",
    }
)

# Words in which packages from before licence expressions state the same families; compared without case and punctuation.
SPOKEN = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2 0": "Apache-2.0",
    "apache license 2 0": "Apache-2.0",
    "apache license version 2 0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2 0": "Apache-2.0",
    "mit": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mit no attribution license mit 0": "MIT-0",
    "bsd": "BSD",
    "bsd license": "BSD",
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 2 clause license": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "bsd 3 clause license": "BSD-3-Clause",
    "isc": "ISC",
    "isc license": "ISC",
    "isc license iscl": "ISC",
    "psf 2 0": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "mpl 2 0": "MPL-2.0",
    "mozilla public license 2 0": "MPL-2.0",
    "mozilla public license 2 0 mpl 2 0": "MPL-2.0",
}

# Classifiers that approve of a licence without naming it.
NO_LICENCE = frozenset({"OSI Approved", "DFSG approved"})
TOKEN = re.compile(r"\(|\)|[A-Za-z0-9.+-]+")
INDEX_HOST = re.compile(r"(^|\.)(pypi\.org|pythonhosted\.org)$")  # house: named to be refused
HOME_LABELS = ("homepage", "home", "source", "source code", "repository", "code", "github", "documentation")


class LicenceError(Exception):
    """A package may not be a runtime dependency, or nobody has yet found out whether it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What people decided about a statement that rules cannot judge. It holds for exactly the statement it names."""

    stated: str
    counts_as: str
    reason: str


RULINGS: Mapping[str, Ruling] = {
    "pycryptodome": Ruling(
        stated="BSD-2-Clause AND Unlicense AND MIT",
        counts_as="BSD-2-Clause AND MIT",
        reason="some of its files were given to the public domain (Unlicense), which asks nothing of anybody",
    ),
}

# LGPL packages that stay separate: imported as they are installed, never copied into Penstock. {name: reason}
SEPARATE_LGPL: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One runtime dependency as THIRD_PARTY.md shows it."""

    name: str
    version: str
    licence: str
    home: str


def spoken(words: str) -> str | None:
    """The SPDX name of a licence stated in ordinary words; None when the words are not known."""
    return SPOKEN.get(" ".join(re.sub(r"[^a-z0-9]+", " ", words.lower()).split()))


def normalise(expression: str | None, classifiers: Iterable[str], field: str | None) -> str:
    """One SPDX expression from the three places where packages state licences, the most exact place first.

    Several classifiers are read as AND, the stricter reading. Raises LicenceError when nothing stated is understood.
    """
    if expression:
        return expression
    stated = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    stated = [text for text in stated if text not in NO_LICENCE]
    if stated:
        known = [spoken(text) for text in stated]
        if None in known:
            raise LicenceError(f"licence not understood: {', '.join(stated)}")
        exact = spoken(field or "")
        if exact and known == ["BSD"] and exact.startswith("BSD-"):
            return exact
        return " AND ".join(sorted({text for text in known if text}))
    found = spoken(field or "")
    if found is None:
        first = (field or "nothing stated").strip().splitlines()[0][:80]
        raise LicenceError(f"licence not understood: {first}")
    return found


def allowed(expression: str, families: frozenset[str] = ALLOWED) -> bool:
    """Whether an SPDX expression can be met within `families`: one side of OR, both sides of AND.

    A `WITH` exception only ever permits more, so the licence before it decides. Raises LicenceError when the
    expression cannot be read.
    """
    tokens = TOKEN.findall(expression)
    verdict, rest = _either(tokens, families)
    if rest or not tokens:
        raise LicenceError(f"licence expression not understood: {expression}")
    return verdict


def _either(tokens: list[str], families: frozenset[str]) -> tuple[bool, list[str]]:
    verdict, rest = _both(tokens, families)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:], families)
        verdict = verdict or other
    return verdict, rest


def _both(tokens: list[str], families: frozenset[str]) -> tuple[bool, list[str]]:
    verdict, rest = _one(tokens, families)
    while rest and rest[0].upper() == "AND":
        other, rest = _one(rest[1:], families)
        verdict = verdict and other
    return verdict, rest


def _one(tokens: list[str], families: frozenset[str]) -> tuple[bool, list[str]]:
    if tokens and tokens[0] == "(":
        verdict, rest = _either(tokens[1:], families)
        if not rest or rest[0] != ")":
            raise LicenceError("licence expression with an open bracket")
        return verdict, rest[1:]
    if not tokens or tokens[0] == ")" or tokens[0].upper() in {"AND", "OR", "WITH"}:
        raise LicenceError("licence expression with a missing name")
    rest = tokens[1:]
    if len(rest) > 1 and rest[0].upper() == "WITH":
        rest = rest[2:]
    return tokens[0] in families, rest


def judge(name: str, stated: str) -> str:
    """The licence to show for a package that states `stated`. Raises LicenceError when it may not be a dependency."""
    ruling = RULINGS.get(name)
    counts_as = ruling.counts_as if ruling and ruling.stated == stated else stated
    if allowed(counts_as):
        return stated
    if name in SEPARATE_LGPL and allowed(
        stated, ALLOWED | {f"LGPL-{v}" for v in ("2.1-or-later", "3.0-only", "3.0-or-later")}
    ):
        return stated
    raise LicenceError(f"{stated} is outside what a runtime dependency may be under")


def home_page(links: Iterable[str], home: str | None) -> str:
    """The package's own page; never the address of a package index. Empty when it names none."""
    labelled = {label.strip().lower(): url.strip() for label, _, url in (link.partition(",") for link in links)}
    for url in (home or "", *(labelled.get(label, "") for label in HOME_LABELS)):
        host = urlsplit(url).hostname or ""
        if host and not INDEX_HOST.search(host):
            return url.rstrip("/")
    return ""


def inspect(name: str) -> Package:
    """Read one installed package and judge it. Raises LicenceError, or PackageNotFoundError when it is not there."""
    stated = metadata.metadata(name)
    field, classifiers = _first(stated, "License"), stated.get_all("Classifier") or ()
    licence = normalise(_first(stated, "License-Expression"), classifiers, field)
    return Package(
        name=name,
        version=metadata.version(name),
        licence=judge(name, licence),
        home=home_page(stated.get_all("Project-URL") or (), _first(stated, "Home-page")),
    )


def _first(stated: metadata.PackageMetadata, key: str) -> str | None:
    return next(iter(stated.get_all(key) or ()), None)


def render(packages: Iterable[Package]) -> str:
    """The text of THIRD_PARTY.md."""
    lines = [
        "# Third-party packages",
        "",
        "Written by `make third-party`; do not edit. `make check` refuses it when it is out of date, and refuses runtime",
        "dependencies that are not under an Apache, MIT, BSD, ISC, PSF or MPL licence.",
        "",
        "Penstock imports these packages at run time. None of them is part of this repository; each is installed under its",
        "own licence, whose text comes with the package.",
        "",
        "| package | version | licence | home |",
        "|---|---|---|---|",
    ]
    packages = sorted(packages, key=lambda package: package.name)
    lines += [f"| {p.name} | {p.version} | {p.licence} | {p.home} |" for p in packages]
    named = [(name, ruling) for name, ruling in sorted(RULINGS.items()) if name in {p.name for p in packages}]
    if named:
        lines += ["", "## Rulings", ""]
        lines += [f"- **{name}** states `{r.stated}`; it counts as `{r.counts_as}`: {r.reason}." for name, r in named]
    lines += [
        "",
        "## In the browser",
        "",
        "The console serves these files, which lie in this repository as their authors published them, each beside its licence:",
        "",
        "| package | version | licence | where | home |",
        "|---|---|---|---|---|",
        "| uPlot | 1.6.32 | MIT | penstock/console/static/vendor/ | https://github.com/leeoniya/uPlot |",
        "",
        "## Programs",
        "",
        "Tests may start programs of the operating system (for instance Ceph, LGPL-2.1 and LGPL-3.0) as separate processes.",
        "Penstock imports none of them, links to none of them and ships none of them; programs under GPL or AGPL are only",
        "ever run that way.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write THIRD_PARTY.md, or with `--check` compare it; the exit status says how it went."""
    parser = argparse.ArgumentParser(description="Judge the licences of the runtime dependencies.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when THIRD_PARTY.md is out of date")
    check: bool = parser.parse_args(arguments).check
    packages: list[Package] = []
    refused = 0
    for name in sorted(locks.read("runtime")):
        try:
            packages.append(inspect(name))
        except (LicenceError, metadata.PackageNotFoundError) as error:
            sys.stderr.write(f"licences: {name}: {error}\n")
            refused += 1
    if refused:
        return 1
    text = render(packages)
    if not check:
        TARGET.write_text(text, encoding="utf-8")
        sys.stdout.write(f"licences: THIRD_PARTY.md: {len(packages)} packages\n")
        return 0
    return 0 if _current(TARGET, text) else 1


def _current(target: Path, text: str) -> bool:
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return True
    sys.stderr.write(f"licences: {target.name} is out of date; run `make third-party`\n")
    return False


if __name__ == "__main__":
    sys.exit(main())
