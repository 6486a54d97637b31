"""How a program of ours comes up: what it needs is imported with the collector of cycles at rest, and never looked through again.

Importing makes hundreds of thousands of objects that stay for as long as the process, and next to no garbage; the collector
looks through them while they grow in number, again when the process ends, and writes to pages that it could have left alone. That
is a sixth of what it takes to come up, and as much again to end. Calls nobody and knows no program: commands are loaded through
`loaded`, and `python -m penstock.start MODULE ARGUMENT…` is how processes of ours are started, which ends with what MODULE's
`main` returns.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType


def loaded(name: str) -> ModuleType:
    """The module, imported; what is there by then is taken for what stays. Raises ImportError."""
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        module = importlib.import_module(name)
        gc.freeze()
    finally:
        gc.enable()
    return module


if __name__ == "__main__":
    sys.exit(loaded(sys.argv[1]).main(sys.argv[2:]))
