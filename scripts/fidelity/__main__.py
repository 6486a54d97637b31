"""`python -m scripts.fidelity`: write the tables of docs/fidelity.md. `--check` only fails where they are stale.

`--sdk` first writes sdk.json from the installed SDK: after an upgrade, look at what is new and build it, or list it.
"""

from __future__ import annotations

import argparse
import sys

from scripts.fidelity import sdk
from scripts.fidelity.page import PAGE, written
from scripts.fidelity.rows import gathered


def main(words: list[str]) -> int:
    """The exit status: 0 if the page says what code and tests say, or was written."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fidelity", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where the page is stale")
    parser.add_argument("--sdk", action="store_true", help="first read the names of the installed SDK anew")
    asked = parser.parse_args(words)
    if asked.sdk:
        sdk.TABLE.write_text(sdk.as_text(sdk.installed()), encoding="utf-8")
    before = PAGE.read_text(encoding="utf-8")
    after = written(before, gathered())
    if asked.check:
        if before != after:
            print("fidelity: docs/fidelity.md is stale; `make fidelity` writes it", file=sys.stderr)
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    print(f"fidelity: {PAGE.name} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
