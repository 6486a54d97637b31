"""Do the ledger, the code and the tests say the same?"""

import re
from collections import Counter
from pathlib import Path

import pytest

import penstock
from penstock.api.errors import STATUSES
from scripts.fidelity import evidence, sdk, tables
from tests.fixtures import fidelity

CODE = re.compile(r"(\d{3}) (Missing\*Parameter\*|[A-Z]\w+(?:\.\w+)*)")


@pytest.fixture
def shown() -> set[str]:
    """The rules that tests name."""
    return set(evidence.collected().rules)


def test_every_rule_that_a_test_names_is_in_the_ledger(shown: set[str]) -> None:
    assert shown - {rule.rule_id for rule in fidelity.rules()} == set()


def test_every_rule_is_shown_by_a_test(shown: set[str]) -> None:
    assert {rule.rule_id for rule in fidelity.rules()} - shown == set()


def test_the_names_are_those_of_the_installed_sdk() -> None:
    assert sdk.as_text(sdk.installed()) == sdk.TABLE.read_text(encoding="utf-8"), "python -m scripts.fidelity --sdk"


def test_a_documented_status_is_the_one_that_is_answered() -> None:
    documented = {refusal.code: refusal.status for refusal in tables.refusals() if refusal.code in STATUSES}
    assert documented == {code: STATUSES[code] for code in documented}


def test_each_rule_stands_there_once_and_is_whole() -> None:
    rules = fidelity.rules()
    assert len(rules) > 80
    assert [name for name, count in Counter(rule.rule_id for rule in rules).items() if count > 1] == []
    for rule in rules:
        assert rule.origin in ("documented", "sdk", "observed", "inferred", "extension"), rule
        assert rule.behaviour, rule
        assert (Path(penstock.__file__).parent / rule.where).is_file(), rule


def test_every_code_is_in_the_ledger_with_its_status() -> None:
    found = {code: int(status) for rule in fidelity.rules() for status, code in CODE.findall(rule.answer)}
    assert found.pop("Missing*Parameter*") == 400
    assert found == dict(STATUSES)
