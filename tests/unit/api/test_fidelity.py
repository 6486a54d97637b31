"""Do the ledger, the code and the tests say the same?"""

import re
from collections import Counter
from pathlib import Path

import penstock
from penstock.api.errors import STATUSES
from tests.fixtures import fidelity

TESTS = fidelity.ROOT / "tests"
MARK = re.compile(r'mark\.rule\("([^"]+)"\)')
CODE = re.compile(r"(\d{3}) (Missing\*Parameter\*|[A-Z]\w+(?:\.\w+)?)")


def named_in_tests() -> set[str]:
    return {name for path in TESTS.rglob("test_*.py") for name in MARK.findall(path.read_text(encoding="utf-8"))}


def test_every_rule_that_a_test_names_is_in_the_ledger() -> None:
    assert named_in_tests() - {rule.rule_id for rule in fidelity.rules()} == set()


def test_every_rule_that_is_marked_as_tested_is_named_by_a_test() -> None:
    assert {rule.rule_id for rule in fidelity.rules() if rule.tested == "yes"} - named_in_tests() == set()


def test_each_rule_stands_there_once_and_is_whole() -> None:
    rules = fidelity.rules()
    assert len(rules) > 80
    assert [name for name, count in Counter(rule.rule_id for rule in rules).items() if count > 1] == []
    for rule in rules:
        assert rule.origin in ("documented", "sdk", "observed", "inferred", "extension"), rule
        assert rule.tested in ("yes", "there"), rule
        assert rule.behaviour, rule
        assert (Path(penstock.__file__).parent / rule.where).is_file(), rule


def test_every_code_is_in_the_ledger_with_its_status() -> None:
    found = {code: int(status) for rule in fidelity.rules() for status, code in CODE.findall(rule.answer)}
    assert found.pop("Missing*Parameter*") == 400
    assert found == dict(STATUSES)
