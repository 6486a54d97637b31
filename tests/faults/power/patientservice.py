"""The matrix's small service, in which a file that failed twice waits for an hour, but room is looked for often.

Run by its path; the directory of the tests has to be on PYTHONPATH.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.app import service
from penstock.cli import main
from penstock.engine.options import EngineOptions
from penstock.settings.choices import Settings
from tests.faults.matrix import smallservice


def engine_options(settings: Settings) -> EngineOptions:
    """As it is chosen in HOME, but for that."""
    made = smallservice.engine_options(settings)
    patient = replace(made.retry, waits_s=(0.1, 3600), scout_every_s=0.2, room_look_max_s=0.5)
    return replace(made, retry=patient)


if __name__ == "__main__":
    setattr(service, "executor_options", smallservice.executor_options)  # noqa: B010  (typed as imported there)
    setattr(service, "engine_options", engine_options)  # noqa: B010
    main()
