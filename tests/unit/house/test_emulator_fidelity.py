"""Would `make emulator-fidelity` notice? Its verdict fails when a test does, and its lists say what was run."""

from __future__ import annotations

import pytest

from scripts.emulator_fidelity.page import BEGIN, END, Run, written
from scripts.emulator_fidelity.scope import MODULES, OUTSIDE, PAYMENT, REASONS, SPEED, TESTS
from scripts.emulator_fidelity.suite import Verdict

PASSED = Verdict(end="passed", words="", seconds=0.0)
FAILED = Verdict(end="failed", words="AssertionError", seconds=0.0)
EXCUSED = "test_object.TestObject.test_process_object"


def run_with(module: str, verdicts: dict[str, Verdict]) -> Run:
    plenty = {f"test_sign.TestSign.test_{n}": PASSED for n in range(99)}
    return Run(signature="v4", verdicts={"test_sign": plenty, module: verdicts})


def test_a_failure_without_a_reason_is_enough_to_fail() -> None:
    assert run_with("test_object", {"test_object.TestObject.test_x": PASSED}).enough()
    failing = run_with("test_object", {"test_object.TestObject.test_x": FAILED})
    assert failing.unexplained() == ["test_object.TestObject.test_x"]
    assert not failing.enough()


def test_an_excused_test_counts_as_not_passed() -> None:
    excused = run_with("test_object", {EXCUSED: FAILED})
    assert (excused.passed(), len(excused.judging()), excused.enough()) == (99, 100, True)
    only = Run(signature="v4", verdicts={"test_object": {EXCUSED: FAILED}})
    assert not only.enough()


@pytest.mark.parametrize("ended", [PASSED, FAILED])
def test_what_hangs_on_the_speed_of_the_machine_changes_nothing(ended: Verdict) -> None:
    run = run_with("test_object", dict.fromkeys(SPEED, ended))
    assert (run.passed(), len(run.judging()), run.beside(), run.enough()) == (99, 99, {}, True)
    page = written(BEGIN + END, [run], {"test_sign": 99, PAYMENT[0]: 11})
    assert "If they counted as not passed, the share would be\n90.0% with V4." in page


def test_of_some_modules_only_named_tests_count() -> None:
    beside = run_with(
        "test_bucket", {"test_bucket.T.test_cors": FAILED, f"test_bucket.T.{TESTS['test_bucket'][0]}": PASSED}
    )
    assert beside.enough()
    assert list(beside.beside()) == ["test_bucket.T.test_cors"]


def test_the_page_is_written_between_its_marks() -> None:
    found = run_with("test_object", {EXCUSED: FAILED})
    page = written(
        f"before {BEGIN} what was there {END} after", [found], {"test_sign": 99, "test_object": 1, "test_image": 7}
    )
    assert page.startswith("before ")
    assert page.endswith(" after")
    assert "what was there" not in page
    assert "| V4 | 100 | **99** | 99.0% |" in page
    assert f"| `{EXCUSED}` | V4 | {REASONS[EXCUSED]} |" in page
    assert "| `test_image` | 7 | image processing |" in page
    with pytest.raises(ValueError, match="lacks"):
        written("no marks", [found], {})


def test_no_module_is_in_scope_and_outside() -> None:
    assert not set(MODULES) & set(OUTSIDE)
    assert {test.partition(".")[0] for test in REASONS} <= {*MODULES, *TESTS}
