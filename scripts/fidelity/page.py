"""docs/fidelity.md: its parts between marks are written anew, and the last cell of each rule; all else is left as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from itertools import groupby

import penstock
from scripts.fidelity import score, tables
from scripts.fidelity.rows import Kind, Ledger, Row, State
from scripts.fidelity.tables import ANY, PAGE

__all__ = ["PAGE", "written"]

ORIGINS = ("documented", "sdk", "observed", "inferred", "extension")
_PART = re.compile(r"(<!-- fidelity: (\w+) -->\n)(.*?)(<!-- fidelity: end -->)", re.DOTALL)
_LEAF = re.compile(r"^((?:[^.]+\.){2}[^.[]+).*$")  # of a field, what lies directly in an element of a list
_RULE_LINE = re.compile(r"^\| ([A-Z]+(?:-[A-Z]+)*-\d+) \|.*$", re.MULTILINE)
_HISTORY = tables.HERE / "history.toml"


def written(page: str, ledger: Ledger) -> str:
    """The page with its parts as the ledger has them. Raises KeyError for a part nobody knows."""
    parts = {
        "score": _score(ledger),
        "missing": _missing(ledger),
        "actions": _actions(ledger),
        "parameters": _by_operation(
            ledger, Kind.PARAMETER, ("parameter", "origin", "here", "rule", "where", "shown by")
        ),
        "fields": _by_operation(ledger, Kind.FIELD, ("field", "origin", "here", "why not", "where", "shown by")),
        "steps": _steps(ledger),
        "limits": _limits(ledger),
        "codes": _by_operation(ledger, Kind.CODE, ("answer", "origin", "here", "why not", "where", "shown by")),
        "extensions": _extensions(ledger),
        "others": _others(ledger),
        "pages": _pages(ledger),
    }
    filled = _PART.sub(lambda found: f"{found[1]}\n{parts[found[2]]}\n\n{found[4]}", page)
    tests = {row.subject: row.tests for row in ledger.rows if row.kind is Kind.RULE}
    return _RULE_LINE.sub(lambda found: _rule_line(found[0], tests[found[1]]), filled)


def _rule_line(line: str, tests: Sequence[str]) -> str:
    cells = line.strip("|").split("|")[:5]
    return "|" + "|".join(cells) + f"| {_told(tests)} |"


def _told(tests: Sequence[str]) -> str:
    """Test modules, the first few."""
    more = f" and {len(tests) - 2} more" if len(tests) > 2 else ""
    return ", ".join(tests[:2]) + more


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |") for cells in lines]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows])


def _origin(row: Row) -> str:
    return f"{row.origin}, {row.page}" if row.page else row.origin


# --------------------------------------------------------------------------------------------------------------- the parts


def _score(ledger: Ledger) -> str:
    now = (penstock.__version__, f"{score.total(ledger.rows):.1f}", ledger.sdk_version)
    past = tomllib.loads(_HISTORY.read_text(encoding="utf-8"))["release"]
    releases = [now, *((one["version"], one["score"], one["sdk"]) for one in past if one["version"] != now[0])]
    counting = score.vendors(ledger.rows)
    kinds = [
        (str(kind.value), str(weight), *_share([row for row in counting if row.kind is kind]))
        for kind, weight in score.WEIGHTS.items()
    ]
    origins = [(origin, *_share([row for row in ledger.rows if row.origin == origin])) for origin in ORIGINS]
    heads = ("rows", "built and shown", "built only", "share")
    return "\n\n".join(
        [
            _table(("release", "score of 100", "names of SDK"), releases),
            _table(("what", "weight", *heads), kinds),
            _table(("origin", *heads), origins),
        ]
    )


def _share(rows: Sequence[Row]) -> tuple[str, str, str, str]:
    found = score.share(rows)
    return str(found.count), str(found.shown), str(found.built), f"{found.part:.1%}"


def _missing(ledger: Ledger) -> str:
    """What counts and is not shown, by operation; a field of an action that is not built is not told once more."""
    lines = []
    for kind in score.WEIGHTS:
        rows = [row for row in ledger.rows if row.kind is kind and row.state is not State.IMPOSSIBLE]
        wanting = [row for row in rows if (row.state is not State.BUILT or not row.tests) and row.origin != "extension"]
        whole = {row.subject for row in ledger.rows if row.kind is Kind.ACTION and row.state is State.NOT_BUILT}
        for (subject, state), group in groupby(wanting, key=lambda row: (row.subject, row.state)):
            if kind is not Kind.ACTION and subject in whole:
                continue
            named = kind not in (Kind.ACTION, Kind.RULE, Kind.LIMIT)
            told = [_LEAF.sub(r"\1", row.name) if kind is Kind.FIELD else row.name for row in group]
            names = ", ".join(dict.fromkeys(told)) if named else ""
            here = "no test shows it" if state is State.BUILT else str(state.value)
            lines.append((str(kind.value), _subject(subject), names, here))
    return _table(("what", "of", "which", "how far"), lines) if lines else "Nothing."


def _subject(subject: str) -> str:
    return "any action" if subject == ANY else subject.replace("_", "-")


def _actions(ledger: Ledger) -> str:
    rows = [row for row in ledger.rows if row.kind is Kind.ACTION]
    lines = [(row.subject, _origin(row), _here(row), row.note, row.where, _told(row.tests)) for row in rows]
    return _table(("action", "origin", "here", "note", "where", "shown by"), lines)


def _here(row: Row) -> str:
    return str(row.state.value)


def _by_operation(ledger: Ledger, kind: Kind, heads: Sequence[str]) -> str:
    rows = [row for row in ledger.rows if row.kind is kind]
    order = list(dict.fromkeys(row.subject for row in rows))
    parts = []
    for subject in order:
        lines = [
            (row.name.replace("_", "\\_"), _origin(row), _here(row), row.note, row.where, _told(row.tests))
            for row in rows
            if row.subject == subject
        ]
        parts.append(f"**{_subject(subject).capitalize() if subject == ANY else subject}**\n\n{_table(heads, lines)}")
    return "\n\n".join(parts)


def _steps(ledger: Ledger) -> str:
    rows = [row for row in ledger.rows if row.kind is Kind.STEP]
    lines = [(_subject(row.subject), row.name, row.origin, row.note, _told(row.tests)) for row in rows]
    return _table(("of", "step", "origin", "cause (rule)", "shown by"), lines)


def _limits(ledger: Ledger) -> str:
    rows = [row for row in ledger.rows if row.kind is Kind.LIMIT]
    lines = [(row.subject, row.name, _origin(row), row.note, row.where, _told(row.tests)) for row in rows]
    return _table(("limit", "value", "origin", "rule, or why not", "where", "shown by"), lines)


def _extensions(ledger: Ledger) -> str:
    """What strict fidelity makes of each extension."""
    by_words: dict[str, list[str]] = {}
    for rule, words in ledger.strict.items():
        by_words.setdefault(words, []).append(rule)
    return _table(("strict", "rules"), [(words, ", ".join(rules)) for words, rules in by_words.items()])


def _others(ledger: Ledger) -> str:
    return ", ".join(ledger.others) + "."


def _pages(ledger: Ledger) -> str:
    return _table(("key", "page"), list(ledger.pages.items()))
