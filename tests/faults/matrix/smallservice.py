"""`penstock`, but its large files begin at 160 KiB, so that one of many parts moves in no time; waits are short.

Run by its path, as the installed command is; nothing else differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.app import options, service
from penstock.cli import main
from penstock.engine import local
from penstock.engine.local import LocalExecutorOptions
from penstock.engine.options import EngineOptions
from penstock.settings.choices import Settings
from penstock.transfer.transfer import TransferLimits

KIB = 1024
SMALL_BYTES = 5000
GRAIN_BYTES = 32 * KIB
MIDDLING_BYTES = 150 * KIB + 77  # from here on past the page cache, where the file system offers that
PART_BYTES = 128 * KIB
PARTS = 6
LARGE_BYTES = (PARTS - 1) * PART_BYTES + 77
PARTS_IN_FLIGHT = 2
RESTART_WAITS_S = (0.0, 0.2)
"""Movers are killed here one after another, and it is nobody's fault."""
LIMITS = TransferLimits(
    small_file_max_bytes=160 * KIB,
    grain_bytes=GRAIN_BYTES,
    direct_min_bytes=MIDDLING_BYTES,
    part_size_bytes=PART_BYTES,
    parts_in_flight=PARTS_IN_FLIGHT,
    parts_in_flight_max=PARTS_IN_FLIGHT,
    buffer_bytes=64 * KIB,
    unsynced_bytes_max=2 * PART_BYTES,
)


def executor_options(*given: Any) -> LocalExecutorOptions:
    """As it is chosen in HOME, with these limits."""
    made = options.executor_options(*given)
    return replace(made, limits=replace(made.limits, transfer=LIMITS))


def engine_options(settings: Settings) -> EngineOptions:
    """As it is chosen in HOME, with little patience."""
    made = options.engine_options(settings)
    return replace(made, retry=replace(made.retry, waits_s=(0.1, 0.2, 0.5, 1, 2), tidy_wait_s=0.1))


def bold_engine_options(settings: Settings) -> EngineOptions:
    """The same; whoever was refused tries again a second later, not a minute."""
    made = engine_options(settings)
    return replace(made, retry=replace(made.retry, retry_after_max_s=1.0))


if __name__ == "__main__":
    setattr(service, "executor_options", executor_options)  # noqa: B010  (typed as imported there)
    setattr(service, "engine_options", bold_engine_options)  # noqa: B010
    setattr(local, "RESTART_WAITS_S", RESTART_WAITS_S)  # noqa: B010
    main()
