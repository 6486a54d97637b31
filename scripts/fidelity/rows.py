"""Every row of the ledger: what the vendor has, or we have beyond it, whether it is built, where, and which test shows it.

Reads the declarations of `penstock.api`, the tables beside this module and the marks of the tests; starts and asks nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from penstock.api.dispatch import OPERATIONS
from penstock.api.errors import MAPPED, STATUSES
from penstock.api.operation import Operation, Origin
from penstock.catalog.states import TRANSITIONS
from scripts.fidelity import evidence, sdk, tables
from scripts.fidelity.tables import ANY, ROOT, Names, Rule

_MODELS_TEST = ("protocol/api/test_models",)
"""Compares every parameter and every field with the SDK, both ways, and fails for what is neither filled nor excused."""


_STRICT_TEST = ("protocol/api/test_strict",)
"""Asks for each action that is not the vendor's, lenient and strict."""


class Kind(StrEnum):
    """What a row is about; the sections of the page."""

    ACTION = "actions"
    PARAMETER = "parameters"
    FIELD = "answer fields"
    STEP = "states"
    LIMIT = "limits"
    CODE = "error codes"
    RULE = "rules"


class State(StrEnum):
    """How far it is here. IMPOSSIBLE rows count nowhere; of the rest only BUILT ones count as true."""

    BUILT = "built"
    NEVER_FILLED = "never filled"
    NOT_BUILT = "501"
    MISSING = "missing"
    IMPOSSIBLE = "cannot occur"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. `subject` is the operation, or the noun; `note` says why it is as it is."""

    kind: Kind
    subject: str
    name: str
    origin: str
    state: State
    page: str = ""
    where: str = ""
    tests: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All rows, and what the page tells beside them."""

    rows: tuple[Row, ...]
    others: tuple[str, ...]  # actions of the SDK about other things
    sdk_version: str
    pages: Mapping[str, str]
    strict: Mapping[str, str]


def gathered() -> Ledger:
    """The whole ledger."""
    page = tables.PAGE.read_text(encoding="utf-8")
    source = _Sources(rules={rule.rule_id: rule for rule in tables.rules(page)}, names=tables.names())
    makers: tuple[Callable[[_Sources], Iterator[Row]], ...] = (
        _actions, _parameters, _filter_keys, _fields, _steps, _limits, _codes, _rules,
    )  # fmt: skip
    known = sdk.committed()
    return Ledger(
        rows=tuple(row for maker in makers for row in maker(source)),
        others=tuple(action for action in known.actions if action not in known.family and action not in OPERATIONS),
        sdk_version=known.version,
        pages=source.names.pages,
        strict=source.names.strict,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    rules: Mapping[str, Rule]
    names: Names

    def origin(self, operation: str) -> tuple[str, str]:
        """Origin and page of an operation and of what belongs to it."""
        return self.names.origins.get(operation, (str(Origin.OURS.value), ""))

    def of_rule(self, rule_id: str) -> tuple[str, tuple[str, ...]]:
        """Where a rule is kept, and its tests. Raises KeyError for one that is not on the page."""
        return self.rules[rule_id].where, evidence.collected().rules.get(rule_id, ())


def _family() -> dict[str, Operation | None]:
    """The SDK's family and our own operations; None for what is not built."""
    return {action: OPERATIONS.get(action) for action in (*sdk.committed().family, *OPERATIONS)}


def _module(operation: Operation) -> str:
    return str(Path(inspect.getfile(operation.run)).relative_to(ROOT / "penstock"))


# ------------------------------------------------------------------------------------------------------ one kind after another


def _actions(source: _Sources) -> Iterator[Row]:
    for action, operation in _family().items():
        origin, page = source.origin(action)
        if operation is None:
            yield Row(kind=Kind.ACTION, subject=action, name="", origin=origin, page=page, state=State.NOT_BUILT)
            continue
        is_ours = operation.origin is Origin.OURS
        tests = _STRICT_TEST if is_ours else _MODELS_TEST
        row = Row(
            kind=Kind.ACTION,
            subject=action,
            name="",
            origin="extension" if is_ours else origin,
            page=page,
            state=State.BUILT,
            where=_module(operation),
            tests=tests,
        )
        yield row
        for alias in operation.aliases:
            yield Row(
                kind=Kind.ACTION,
                subject=alias,
                name="",
                origin="extension",
                state=State.BUILT,
                where="api/dispatch.py",
                tests=evidence.collected().rules.get("RPC-12", ()),
                note=f"another name of {action}",
            )


def _parameters(source: _Sources) -> Iterator[Row]:
    for action, operation in _family().items():
        origin, page = source.origin(action)
        shape = sdk.committed().family.get(action)
        sent = shape.parameters if shape is not None else ()
        read = () if operation is None else tuple(name for each in operation.parameters for name in each.names)
        for name in dict.fromkeys((*sent, *read)):
            is_sdk_only = f"{action} {name}" in source.names.sdk_only
            is_ours = name not in sent
            rule = source.names.parameters.get(f"{action} {name}", source.names.parameters.get(name, ""))
            where, tests = source.of_rule(rule) if rule and name in read else ("", ())
            yield Row(
                kind=Kind.PARAMETER,
                subject=action,
                name=name,
                origin="extension" if is_ours else "sdk" if is_sdk_only else origin,
                page="" if is_ours else "SDK" if is_sdk_only else page,
                state=State.BUILT if name in read else State.NOT_BUILT,
                where=where,
                tests=tests,
                note=rule if name in read else "",
            )


def _filter_keys(source: _Sources) -> Iterator[Row]:
    for action, operation in OPERATIONS.items():
        origin, page = source.origin(action)
        for key in (key for parameter in operation.parameters for key in parameter.keys):
            rule = source.names.filters.get(f"{action} {key}", source.names.filters.get(key, "FILTER-1"))
            where, tests = source.of_rule(rule)
            yield Row(
                kind=Kind.PARAMETER,
                subject=action,
                name=f"filter {key}",
                origin=origin,
                page=page,
                state=State.BUILT,
                where=where,
                tests=tests,
                note=rule,
            )


def _fields(source: _Sources) -> Iterator[Row]:
    for action, shape in sdk.committed().family.items():
        operation = OPERATIONS.get(action)
        origin, page = source.origin(action)
        excuses = source.names.never_filled.get(action, {})
        for field in shape.fields:
            excuse = next((why for name, why in excuses.items() if lies_below(field, name)), "")
            is_filled = operation is not None and not excuse
            yield Row(
                kind=Kind.FIELD,
                subject=action,
                name=field,
                origin=origin,
                page=page,
                state=State.BUILT if is_filled else State.NEVER_FILLED if operation is not None else State.NOT_BUILT,
                where="" if operation is None else _module(operation),
                tests=_MODELS_TEST if is_filled else (),
                note=excuse,
            )


def lies_below(leaf: str, field: str) -> bool:
    """Whether a path of an answer is this field, or lies below it."""
    return leaf == field or leaf.startswith((f"{field}.", f"{field}["))


def _steps(source: _Sources) -> Iterator[Row]:
    for noun, steps in TRANSITIONS.items():
        for step in steps:
            rule = source.names.steps.get(f"{noun.value} {step.name}", "")
            tests = source.of_rule(rule)[1] if rule else ()
            for before in step.before or ("",):
                yield Row(
                    kind=Kind.STEP,
                    subject=noun.value,
                    name=f"{str(before) or '·'} → {step.after}",
                    origin=source.rules[rule].origin if rule else "inferred",
                    state=State.BUILT,
                    where="catalog/states.py",
                    tests=tests,
                    note=f"{step.cause} ({rule})" if rule else step.cause,
                )


def _limits(source: _Sources) -> Iterator[Row]:
    for limit in tables.limits():
        where, tests = source.of_rule(limit.rule) if limit.rule else ("", ())
        yield Row(
            kind=Kind.LIMIT,
            subject=limit.what,
            name=limit.value,
            origin=limit.origin,
            page=limit.page,
            state=State.BUILT if limit.rule else State.MISSING if limit.origin != "inferred" else State.IMPOSSIBLE,
            where=where,
            tests=tests,
            note=limit.rule or limit.why,
        )


def _codes(source: _Sources) -> Iterator[Row]:
    seen = dict(evidence.collected().codes)
    for refusal in tables.refusals():
        tests = seen.pop((refusal.operation, refusal.code), ())
        is_known = refusal.code in STATUSES or refusal.code.startswith("Missing")
        state = State.IMPOSSIBLE if refusal.impossible else State.BUILT if tests else State.MISSING
        yield Row(
            kind=Kind.CODE,
            subject=refusal.operation,
            name=f"{refusal.status} {refusal.code}",
            origin="observed" if refusal.page.startswith("R") else "documented",
            page=refusal.page,
            state=state,
            where=_modules_with(refusal.code, refusal.operation) if is_known else "",
            tests=tests,
            note=refusal.impossible,
        )
    for (operation, code), tests in sorted(seen.items()):
        status = 400 if code.startswith("Missing") else STATUSES[code]
        is_ours = operation != ANY and source.origin(operation)[1] == ""
        yield Row(
            kind=Kind.CODE,
            subject=operation,
            name=f"{status} {code}",
            origin="extension" if is_ours else "inferred",
            state=State.BUILT,
            where=_modules_with(code, operation),
            tests=tests,
        )


@cache
def _api_texts() -> Mapping[str, str]:
    home = ROOT / "penstock"
    return {
        str(path.relative_to(home)): path.read_text(encoding="utf-8") for path in sorted((home / "api").rglob("*.py"))
    }


def _modules_with(code: str, operation: str) -> str:
    """The modules of the API that answer a code, by its text; what the rooms below refuse, the table of errors answers."""
    if re.fullmatch(r"Missing\w+", code):
        return "api/parameters.py"
    known = OPERATIONS.get(operation)
    own = "" if known is None else _module(known)
    found = [
        module
        for module, text in _api_texts().items()
        if f'"{code}"' in text and (module == own or not module.startswith(_NO_ANSWERS))
    ]
    if code in MAPPED:
        found = ["api/errors.py", *(module for module in found if module == own)]
    return ", ".join(found or ["api/errors.py"])


_NO_ANSWERS = ("api/errors.py", "api/hints.py", "api/operations/")
"""Tables, and the modules of other operations."""


def _rules(source: _Sources) -> Iterator[Row]:
    for rule in source.rules.values():
        yield Row(
            kind=Kind.RULE,
            subject=rule.rule_id,
            name=rule.behaviour,
            origin=rule.origin,
            state=State.BUILT,
            where=rule.where,
            tests=evidence.collected().rules.get(rule.rule_id, ()),
        )
