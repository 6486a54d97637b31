"""`matrix/smallservice.py`, but who meets an outage gives up after a few seconds. What is left then is looked for every few
seconds, or, where `TIDY_WAIT` says so in the environment, so seldom that only the place itself, once it is back, hastens it.
`attempts_deadline_h` is chosen in HOME.

Run by its path, as the installed command is; nothing else differs.
"""

from __future__ import annotations

import os
from dataclasses import replace

from penstock.app import service
from penstock.cli import main
from penstock.engine.options import EngineOptions
from penstock.settings.choices import Settings
from tests.faults.matrix import smallservice

TIDY_WAIT = "PENSTOCK_TEST_TIDY_WAIT_S"


def engine_options(settings: Settings) -> EngineOptions:
    """As there; two attempts to move, one to clean up, and scouts every second."""
    made = smallservice.engine_options(settings)
    retry = replace(
        made.retry,
        attempts_max=2,
        cleanups_max=1,
        tidy_wait_s=float(os.environ.get(TIDY_WAIT, "2")),
        outage_after_s=0.5,
        scout_every_s=1.0,
    )
    return replace(made, retry=retry)


if __name__ == "__main__":
    setattr(service, "executor_options", smallservice.executor_options)  # noqa: B010  (typed as imported there)
    setattr(service, "engine_options", engine_options)  # noqa: B010
    main()
