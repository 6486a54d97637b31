"""The matrix's small service, with a log that begins short, but is made ready beforehand, and is copied often.

Run by its path, below a tracer; the directory of the tests has to be on PYTHONPATH.
"""

from __future__ import annotations

from penstock.app import service
from penstock.catalog import sqlite
from penstock.cli import main
from tests.faults.matrix.smallservice import KIB, engine_options, executor_options

LOG_BYTES_READY = 64 * KIB
CHECKPOINT_PAGES = 60

if __name__ == "__main__":
    for module, name, value in (
        (service, "executor_options", executor_options),
        (service, "engine_options", engine_options),
        (service, "LOG_BYTES_READY", LOG_BYTES_READY),
        (sqlite, "CHECKPOINT_PAGES", CHECKPOINT_PAGES),
        (sqlite, "_FILLER_BYTES", LOG_BYTES_READY),
        (sqlite, "_SPILL_PAGES", 4),
    ):
        setattr(module, name, value)
    main()
