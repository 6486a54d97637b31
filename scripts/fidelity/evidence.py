"""Which tests show what: the marks `rule` and `code` of the test files, read without running them.

A mark `code(action, code)` cannot lie: a test fails that has it and has not seen the action refused so (tests/conftest.py).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
_MARKS = {"rule": 1, "code": 2}
_TABLES = {"refusal": "code"}
"""What a line of a table of tests is made by, and the mark that it gives the line's test."""


_CALLS = (*(f"mark.{kind}(" for kind in _MARKS), *(f"{name}(" for name in _TABLES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """By what is shown: the test modules that show it, below `tests/`, without their suffix."""

    rules: Mapping[str, tuple[str, ...]]
    codes: Mapping[tuple[str, str], tuple[str, ...]]


@cache
def collected(tests: Path = TESTS) -> Evidence:
    """What the marks of all tests say."""
    found: dict[str, dict[tuple[str, ...], set[str]]] = {kind: defaultdict(set) for kind in _MARKS}
    for path in sorted(tests.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(call in text for call in _CALLS):
            continue
        module = str(path.relative_to(tests).with_suffix(""))
        for kind, words in _marks(ast.parse(text)):
            found[kind][words].add(module)
    return Evidence(
        rules={words[0]: tuple(sorted(modules)) for words, modules in found["rule"].items()},
        codes={(words[0], words[1]): tuple(sorted(modules)) for words, modules in found["code"].items()},
    )


def _marks(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        kind = _kind(node.func)
        words = tuple(each.value for each in node.args[: _MARKS.get(kind, 0)] if isinstance(each, ast.Constant))
        texts = tuple(word for word in words if isinstance(word, str))
        if kind and len(texts) == _MARKS[kind]:
            yield kind, texts


def _kind(called: ast.expr) -> str:
    if isinstance(called, ast.Name):
        return _TABLES.get(called.id, "")
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Attribute) and called.value.attr == "mark":
        return called.attr if called.attr in _MARKS else ""
    return ""
