"""`python -m scripts.emulator_fidelity PYTHON`: judge the emulator by the vendor's own tests, and write docs/emulator.md's part.

PYTHON is that of an environment with the packages of requirements/fidelity.txt; the suite is kept beside it. Fails if a test in
scope that has no reason to fail does, or if less than 95 % pass.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.emulator_fidelity.page import Run, written
from scripts.emulator_fidelity.scope import MODULES, OUTSIDE, REASONS, TESTS
from scripts.emulator_fidelity.suite import SuiteError, fetch, run, tests_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "emulator.md"
SIGNATURES = ("v4", "v1")


def main(words: list[str]) -> int:
    """The exit status: 0 if the emulator is as good as the page is to say."""
    parser = argparse.ArgumentParser(prog="python -m scripts.emulator_fidelity", description=__doc__)
    parser.add_argument("python", type=Path, help="the environment's Python")
    parser.add_argument("modules", nargs="*", help="only these modules (the page stays as it is)")
    parser.add_argument("--signature", choices=SIGNATURES, action="append", help="only this one (the page stays)")
    parser.add_argument("--workers", type=int, default=3, help="modules at once")
    asked = parser.parse_args(words)
    python = asked.python.absolute()
    try:
        suite = fetch(python, python.parent.parent / "suite")
        counts = tests_of(suite)
        if unknown := sorted(set(counts) - set(MODULES) - set(OUTSIDE)):
            raise SuiteError(f"no scope is given for {', '.join(unknown)}")
        modules = asked.modules or [*MODULES, *TESTS]
        runs = []
        for signature in asked.signature or SIGNATURES:
            found = run(python, suite, modules, signature=signature, workers=asked.workers)
            runs.append(Run(signature=signature, verdicts=found))
            _tell(runs[-1])
    except SuiteError as error:
        print(f"emulator-fidelity: {error}", file=sys.stderr)
        return 1
    if not asked.modules and not asked.signature:
        PAGE.write_text(written(PAGE.read_text(), runs, counts))
        print(f"emulator-fidelity: {PAGE.name} is written")
    return 0 if all(run.enough() for run in runs) else 1


def _tell(run: Run) -> None:
    print(
        f"emulator-fidelity: {run.signature}: {run.passed()} of {len(run.judging())} tests in scope passed", flush=True
    )
    for test, verdict in run.judging().items():
        if not verdict.passed:
            words = REASONS.get(test) or verdict.words.strip().rpartition("\n")[2]
            print(f"  {'excused' if test in REASONS else verdict.end}: {test}: {words[:300]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
