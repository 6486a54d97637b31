"""Does the house judge find what it is there to find, and leave good code alone?"""

import pytest

from scripts import house

GOOD = '''"""What lives here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A value."""

    size_bytes: int
'''


def found(path: str, text: str) -> str:
    """All complaints about one file as one text."""
    return "\n".join(what for _, what in house.judge(path, text))


def test_good_code_is_left_alone() -> None:
    assert house.judge("penstock/thing.py", GOOD) == []


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("penstock/a.py", "import os\n", "no module docstring"),
        ("penstock/a.py", GOOD + "# line\n" * 450, "one noun a file"),
        ("penstock/a.py", GOOD + "def long() -> None:\n" + "    print()\n" * 60, "one thought a function"),
        ("penstock/a.py", GOOD.replace(", kw_only=True", ""), "without kw_only"),
        ("penstock/a.py", GOOD.replace("frozen=True", "frozen=False"), "without frozen"),
        (
            "penstock/a.py",
            GOOD.replace("(frozen=True, slots=True, kw_only=True)", ""),
            "without frozen, slots, kw_only",
        ),
        ("penstock/a.py", GOOD + 'HOME = os.environ["HOME"]\n', "os.environ"),
        ("penstock/a.py", GOOD + "NOW = time.time_ns()\n", "come in as arguments"),
        ("penstock/a.py", GOOD + "def put(path: str, fast: bool) -> None: ...\n", "fast is a boolean"),
        ("penstock/a.py", GOOD + "async def put(*, fast: bool | None = None) -> None: ...\n", "fast is a boolean"),
        ("penstock/a.py", GOOD + "class A:\n    def put(self, fast: bool) -> None: ...\n", "fast is a boolean"),
        ("penstock/a.py", GOOD + "# TO" + "DO: later\n", "unfinished"),
        ("penstock/a.py", GOOD + "raise NotImplemented" + "Error\n", "unfinished"),
        ("penstock/a.py", "type Name = str\nx = = 1\n", "not Python"),
        ("penstock/utils.py", GOOD, "a module called utils"),
        ("penstock/stores/common/oss.py", GOOD, "a module called common"),
        ("tests/unit/test_a.py", "import time\ntime.sleep(1)\n", "do not sleep"),
        ("docs/install.md", "pip install --index" + "-url https://mirror.example/\n", "package index"),
        ("docs/install.md", "see /wor" + "k/main/docs\n", "a path of one machine"),
        ("requirements/runtime.txt", "thing @ https://files.example/thing.whl\n", "names and versions only"),
    ],
)
def test_a_broken_rule_is_found(path: str, text: str, complaint: str) -> None:
    assert complaint in found(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("penstock/a.py", GOOD + "clock = time.time_ns\n"),
        ("penstock/settings.py", GOOD + 'HOME = os.environ["HOME"]\n'),
        ("penstock/settings/reading.py", GOOD + 'HOME = os.environ["HOME"]\n'),
        ("penstock/a.py", GOOD + "NOW = time.time_ns()  # house: the process's own start\n"),
        ("penstock/cli/a.py", GOOD + "def put(fast: bool) -> None: ...\n"),
        ("penstock/a.py", GOOD + "def _put(fast: bool) -> None: ...\n"),
        ("penstock/a.py", GOOD + "class _A:\n    def put(self, fast: bool) -> None: ...\n"),
        ("penstock/a.py", GOOD + "class A:\n    def __init__(self, fast: bool) -> None: ...\n"),
        ("penstock/a.py", GOOD + "def put(asks: Callable[[], bool], found: Mapping[str, bool]) -> bool: ...\n"),
        ("penstock/a.py", GOOD + "def put(dry: bool) -> None: ...  # house: the vendor's parameter\n"),
        ("penstock/a/__init__.py", ""),
        ("tests/fixtures/waiting.py", "import time\ntime.sleep(0.01)\n"),
        ("tests/unit/test_a.py", "x = 1\n" * 500),
        ("requirements/runtime.txt", "# what https://site.example says\nthing==1.0\n"),
    ],
)
def test_what_is_allowed_passes(path: str, text: str) -> None:
    assert house.judge(path, text) == []


def test_an_excuse_needs_a_reason_and_does_not_cover_sizes() -> None:
    assert "come in as arguments" in found("penstock/a.py", GOOD + "NOW = time.time()  # house:\n")
    long = GOOD + "def long() -> None:  # house: it grew\n" + "    print()\n" * 60
    assert "one thought a function" in found("penstock/a.py", long)


def test_a_finding_names_its_line() -> None:
    assert (11, "time.time(): time, randomness and ids come in as arguments") in house.judge(
        "penstock/a.py", GOOD + "NOW = time.time()\n"
    )
