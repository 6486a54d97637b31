"""A bounded, coverage-guided hunt for answers that our HTTP client misreads: `make fuzz`, or with libFuzzer's options

    .venv/bin/python -m tests.fuzz.fuzz_answers GROWN tests/fuzz/corpus -max_total_time=600

An input is six bytes of choices (verb, ending, cuts) and then the peer's bytes. What is found is written to `crash-*`; that
file as the only argument plays it again. The seed is printed at the beginning (`-seed=N` repeats a run). New inputs of
interest go into GROWN, the first directory; the corpus that is committed stays small.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.stores"]):
    from tests.fixtures.answerjudge import judge, judge_store
    from tests.fixtures.memoryline import Ending

CHOICES_BYTES = 6
METHODS = ("GET", "HEAD", "PUT")
VERBS = ("get", "head", "put", "list")
ENDINGS = tuple(Ending)


def one_input(data: bytes) -> None:
    """Judge one input; whatever is raised is a finding."""
    if len(data) < CHOICES_BYTES:
        return
    verb, ending, step, first, second, third = data[:CHOICES_BYTES]
    content = data[CHOICES_BYTES:]
    cuts = {first, second, third * 8, *(range(0, len(content), step) if step else ())}
    if verb & 1:
        judge_store(content, verb=VERBS[(verb >> 1) % len(VERBS)], cuts=cuts, ending=ENDINGS[ending % len(ENDINGS)])
    else:
        judge(content, method=METHODS[(verb >> 1) % len(METHODS)], cuts=cuts, ending=ENDINGS[ending % len(ENDINGS)])


def main() -> None:
    """Run until a bound given on the command line, or a finding, ends it."""
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
