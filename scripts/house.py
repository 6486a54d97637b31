"""The house rules that a machine can judge: sizes, docstrings, names, unfinished work, values, and what no file may say.

Reads the tree with `ast` and plain search; imports nothing of Penstock and changes nothing. A rule that has to be broken
for a reason is excused on its own line with `# house: <the reason>`; sizes, docstrings and names cannot be excused.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
NO_NAMES = frozenset({"utils", "util", "common", "core", "helpers", "helper", "manager", "managers", "misc"})
PYTHON_ROOMS = ("penstock", "scripts", "tests", "bench", "examples")
TEXT_SUFFIXES = frozenset(
    {".py", ".md", ".txt", ".toml", ".sql", ".sh", ".html", ".js", ".css", ".svg", ".cfg", ".ini", ""}
)
SKIPPED = frozenset({".git", ".venv", ".venv-bench", ".venv-fidelity", "__pycache__", "dist", "build", "node_modules"})

EXCUSE = re.compile(r"#\s*house:\s*\S")
# Written so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b|NotImplemented" + r"Error")
INDEX_ADDRESS = re.compile(
    r"pyp" + r"i\.|python" + r"hosted|--(extra-)?index" + r"-url|--find" + r"-links|\bindex" + r"_url\b|/simp" + r"le/",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|opt/wheels)/|/home/(?!user\b|me\b)\w")

# Where reading the environment, the wall clock or randomness is the business of the file.
ENVIRONMENT_DOORS = frozenset({"cli", "settings", "app", "client"})
CHANCE_AND_TIME = frozenset(
    {
        "time.time",
        "time.time_ns",
        "datetime.now",
        "datetime.utcnow",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "date.today",
        "uuid.uuid1",
        "uuid.uuid4",
        "random.random",
        "random.uniform",
        "random.randint",
        "random.choice",
        "random.shuffle",
    }
)
SLEEPS = frozenset({"time.sleep", "asyncio.sleep", "anyio.sleep"})
WAITING_ROOMS = ("tests/fixtures/", "tests/conftest.py")

Finding = tuple[int, str]


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        front = dotted(node.value)
        return f"{front}.{node.attr}" if front else ""
    return ""


def sizes(tree: ast.Module, text: str) -> Iterator[Finding]:
    """A file holds one noun and a function one thought: both have to fit."""
    length = len(text.splitlines())
    if length > FILE_LINES_MAX:
        yield 1, f"{length} lines; one noun a file, at most {FILE_LINES_MAX}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name}: {length} lines; one thought a function, at most {FUNCTION_LINES_MAX}"


def docstring(tree: ast.Module) -> Iterator[Finding]:
    """A module begins by saying what lives in it; an empty one has nothing to say."""
    if tree.body and not (ast.get_docstring(tree) or "").strip():
        yield 1, "no module docstring"


def values(tree: ast.Module) -> Iterator[Finding]:
    """Dataclasses are values: frozen, slotted, keyword-only."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if dotted(call.func if call else decorator) not in {"dataclass", "dataclasses.dataclass"}:
                continue
            said = {word.arg for word in call.keywords if _is_true(word.value)} if call else set()
            missing = [word for word in ("frozen", "slots", "kw_only") if word not in said]
            if missing:
                yield decorator.lineno, f"{node.name}: a dataclass without {', '.join(missing)}"


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def arguments_not_lookups(tree: ast.Module, path: str) -> Iterator[Finding]:
    """Options, time, randomness and ids come in as arguments."""
    if Path(path).with_suffix("").parts[1] in ENVIRONMENT_DOORS:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node) == "os.environ":
            yield node.lineno, "os.environ: options are passed in, not looked up"
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called == "os.getenv":
            yield node.lineno, "os.getenv: options are passed in, not looked up"
        if called in CHANCE_AND_TIME:
            yield node.lineno, f"{called}(): time, randomness and ids come in as arguments"


def flags(tree: ast.Module, path: str) -> Iterator[Finding]:
    """No public function takes a boolean: at its call nobody sees what True stands for. An enum says it, or two functions do.

    What an object is made of is its fields' business, and a command's flags have names of their own.
    """
    if Path(path).parts[1] == "cli":
        return
    for function in _doors(tree.body):
        given = function.args
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            if argument.annotation is not None and _is_boolean(argument.annotation):
                yield (
                    argument.lineno,
                    f"{function.name}: {argument.arg} is a boolean; an enum, or two functions, say more",
                )


def _doors(body: Sequence[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public functions of a module or class, with the methods of its public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _doors(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def _is_boolean(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "bool" for node in _alternatives(annotation))


def _alternatives(annotation: ast.expr) -> Iterator[ast.expr]:
    """`a | b` as a and b: what a mapping or a callable has inside is not the argument itself."""
    if isinstance(annotation, ast.BinOp):
        yield from _alternatives(annotation.left)
        yield from _alternatives(annotation.right)
    else:
        yield annotation


def sleeping_tests(tree: ast.Module, path: str) -> Iterator[Finding]:
    """Tests wait on conditions; only the waiting itself, in the fixtures, may pause between two looks."""
    if path.startswith(WAITING_ROOMS):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in SLEEPS:
            yield node.lineno, f"{dotted(node.func)}(): tests wait on conditions, they do not sleep"


def names(path: str) -> Iterator[Finding]:
    """No module has a name that could mean anything."""
    for part in Path(path).with_suffix("").parts:
        if part in NO_NAMES:
            yield 1, f"a module called {part}: name it after what lives in it"


def said(path: str, text: str) -> Iterator[Finding]:
    """Nothing unfinished, no address of a package index, no path of one machine."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, complaint in (
            (UNFINISHED, "unfinished work; finish it, or answer with a proper error"),
            (INDEX_ADDRESS, "the address or option of a package index"),
            (MACHINE_PATH, "a path of one machine"),
        ):
            if pattern.search(line):
                yield number, complaint
        if path.startswith("requirements/") and not line.startswith("#") and ("://" in line or line.startswith("-")):
            yield number, "a lock holds names and versions only"


def judge(path: str, text: str) -> list[Finding]:
    """All findings in one file; `path` is relative to the root, with slashes."""
    findings = list(said(path, text))
    room = path.partition("/")[0]
    if path.endswith(".py") and room in PYTHON_ROOMS:
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            return [*findings, (error.lineno or 1, "not Python that the oldest supported version can read")]
        if room == "penstock":
            findings += [*values(tree), *arguments_not_lookups(tree, path), *flags(tree, path)]
        if room == "tests":
            findings += sleeping_tests(tree, path)
        lines = text.splitlines()
        findings = [(number, what) for number, what in findings if not EXCUSE.search(lines[number - 1])]
        if room != "tests":
            findings += [*sizes(tree, text), *docstring(tree)]
        findings += names(path)
    return sorted(findings)


def files(root: Path) -> Iterator[Path]:
    """Every text file of the project, in a steady order."""
    for path in sorted(root.iterdir()):
        if path.name in SKIPPED:
            continue
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name != ".ci"
            if not hidden and not path.is_symlink():
                yield from files(path)
        elif path.suffix in TEXT_SUFFIXES and path.is_file():
            yield path


def main() -> int:
    """Judge the whole tree; prints `path:line: what` for each finding and fails when there is any."""
    count = 0
    for file in files(ROOT):
        path = file.relative_to(ROOT).as_posix()
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, what in judge(path, text):
            sys.stderr.write(f"{path}:{number}: {what}\n")
            count += 1
    if count:
        sys.stderr.write(f"house: {count} findings\n")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
