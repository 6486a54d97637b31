"""The service of the kill matrix, with little patience: leases are short, and a silent mover is given up soon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.app import service
from penstock.cli import main
from penstock.engine.local import LocalExecutorOptions
from penstock.engine.options import EngineOptions
from penstock.settings.choices import Settings
from tests.faults.matrix import smallservice

SILENCE_S = 4.0
LEASE_S = 1.0


def executor_options(*given: Any) -> LocalExecutorOptions:
    """As there; silence is short."""
    return replace(smallservice.executor_options(*given), silence_s=SILENCE_S, vacate_wait_s=30.0)


def engine_options(settings: Settings) -> EngineOptions:
    """As there; leases are short."""
    made = smallservice.engine_options(settings)
    keeper = replace(made.keeper, lease_s=LEASE_S, renew_every_s=LEASE_S / 4, rescue_every_s=LEASE_S / 4)
    return replace(made, keeper=keeper)


if __name__ == "__main__":
    setattr(service, "executor_options", executor_options)  # noqa: B010  (typed as imported there)
    setattr(service, "engine_options", engine_options)  # noqa: B010
    main()
