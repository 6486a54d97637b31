"""The generated part of docs/emulator.md: numbers, what passes, what does not and why. Text in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.emulator_fidelity.scope import MODULES, OUTSIDE, PAYMENT, REASONS, SPEED, TESTS, VERSION
from scripts.emulator_fidelity.suite import Verdict

BEGIN = "<!-- written by make emulator-fidelity: begin -->"
END = "<!-- written by make emulator-fidelity: end -->"
LEAST = 0.95
Verdicts = Mapping[str, Mapping[str, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the suite said with one kind of signature: verdicts by module and test."""

    signature: str
    verdicts: Verdicts

    def judging(self) -> dict[str, Verdict]:
        """The tests in scope."""
        return {test: verdict for module in (*MODULES, *TESTS) for test, verdict in self._of(module)}

    def beside(self) -> dict[str, Verdict]:
        """The tests that were run and do not count."""
        counted = self.judging()
        return {
            test: verdict
            for found in self.verdicts.values()
            for test, verdict in found.items()
            if test not in counted and test not in SPEED
        }

    def in_module(self, module: str) -> dict[str, Verdict]:
        """The tests in scope of one module."""
        return dict(self._of(module))

    def passed(self) -> int:
        """How many in scope found nothing wrong."""
        return sum(verdict.passed for verdict in self.judging().values())

    def unexplained(self) -> list[str]:
        """Tests in scope that did not pass and have no reason."""
        return [test for test, verdict in self.judging().items() if not verdict.passed and test not in REASONS]

    def enough(self) -> bool:
        """Whether what passed is what has to pass."""
        return not self.unexplained() and self.passed() >= LEAST * len(self.judging())

    def _of(self, module: str) -> Iterator[tuple[str, Verdict]]:
        only = TESTS.get(module)
        for test, verdict in self.verdicts.get(module, {}).items():
            if test not in SPEED and (only is None or test.rpartition(".")[2] in only):
                yield test, verdict


def written(page: str, runs: list[Run], counts: Mapping[str, int]) -> str:
    """`page` with its generated part made anew. Raises ValueError if it has no place for one."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{_body(runs, counts)}\n{END}{tail}"


def _body(runs: list[Run], counts: Mapping[str, int]) -> str:
    first = runs[0]
    total, counted = sum(counts.values()), len(first.judging())
    lines = [
        f"The suite of `oss2` {VERSION} holds **{total} tests** in {len(counts)} modules. **{counted} are in scope**: all of the",
        "modules on objects, multipart uploads, listings, versions, download, upload, tags, symbolic links, append, copy,",
        "signing and names, and the tests on tags of the module on buckets. A test that is excused counts as not passed.",
        "",
        f"{len(SPEED)} more depend on the machine's speed, pass in one run and not in the next, and are not counted:",
        f"{' and '.join(f'`{test}`' for test in SPEED)}",
        "expect that no connection is made within a millisecond, and on one machine it may be.",
        "",
        *_payment(runs, counts),
        "",
        "| signature | in scope | passed | share |",
        "|---|---|---|---|",
        *(
            f"| {run.signature.upper()} | {len(run.judging())} | **{run.passed()}** | {run.passed() / len(run.judging()):.1%} |"
            for run in runs
        ),
        "",
        f"| module | in scope | {' | '.join(f'passed, {run.signature.upper()}' for run in runs)} |",
        f"|---|---|{'---|' * len(runs)}",
        *_modules(runs),
        "",
        "### In scope and not passed",
        "",
        "| test | signature | why that is right |",
        "|---|---|---|",
        *_excused(runs),
        "",
        "### Out of scope",
        "",
        "| module | tests | why |",
        "|---|---|---|",
        *(f"| `{module}` | {counts[module]} | {OUTSIDE[module]} |" for module in counts if module in OUTSIDE),
        "",
        *(
            f"Of `test_bucket`, {sum(v.passed for v in run.beside().values())} of the {len(run.beside())} tests out of scope"
            f" pass with {run.signature.upper()}."
            for run in runs
        ),
        "",
        "### Passed",
        "",
        *_passed(runs),
    ]
    return "\n".join(lines)


def _payment(runs: list[Run], counts: Mapping[str, int]) -> Iterator[str]:
    unpaid = sum(counts.get(module, 0) for module in PAYMENT)
    shares = (f"{run.passed() / (len(run.judging()) + unpaid):.1%} with {run.signature.upper()}" for run in runs)
    yield f"The {unpaid} tests of {' and '.join(f'`{module}`' for module in PAYMENT)} are out of scope, as they need a second"
    yield "account, which pays; the emulator has one. If they counted as not passed, the share would be"
    yield f"{', '.join(shares)}."


def _modules(runs: list[Run]) -> Iterator[str]:
    for module in (*MODULES, *TESTS):
        found = [run.in_module(module) for run in runs]
        shares = " | ".join(str(sum(verdict.passed for verdict in each.values())) for each in found)
        yield f"| `{module}` | {len(found[0])} | {shares} |"


def _excused(runs: list[Run]) -> Iterator[str]:
    for test in runs[0].judging():
        where = [run.signature.upper() for run in runs if not run.judging()[test].passed]
        if where:
            yield f"| `{test}` | {', '.join(where)} | {REASONS.get(test, '**it is not: a defect**')} |"


def _passed(runs: list[Run]) -> Iterator[str]:
    for module in (*MODULES, *TESTS):
        names = [
            test.rpartition(".")[2]
            for test in runs[0].in_module(module)
            if all(run.judging()[test].passed for run in runs)
        ]
        yield f"- `{module}`: {', '.join(names)}"
