"""From the settings of a person to the options of each room. Pure: reads nothing, knows every room's options."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import telemetry
from penstock.api.options import ApiOptions, BucketCodes, Fidelity, PathBase
from penstock.catalog.catalog import CatalogBounds
from penstock.engine.local import LocalExecutorOptions
from penstock.engine.messages import MoverLimits
from penstock.engine.options import DAY_S, EngineOptions, KeeperOptions, ListerOptions, RetryOptions, TransitionOptions
from penstock.settings.choices import Settings
from penstock.settings.home import Home
from penstock.stores.keychain import passed_on
from penstock.stores.opening import trusting
from penstock.transfer.transfer import OwnerAndMode, Symlinks, TransferChoices

HOUR_S = 3600


def api_options(settings: Settings, *, connections_max: int) -> ApiOptions:
    """What the API is told."""
    return ApiOptions(
        connections_max=connections_max,
        subtask_path_base=PathBase(settings.subtask_path_base),
        fidelity=Fidelity(settings.fidelity),
        bucket_codes=BucketCodes(settings.bucket_codes),
        api_time_zone=settings.api_time_zone,
        log_made=settings.log_made == "yes",
        scheme="https" if settings.tls_certificate else "http",
    )


def engine_options(settings: Settings) -> EngineOptions:
    """What the engine is told."""
    return EngineOptions(
        retry=RetryOptions(attempts_max=settings.attempts_max, deadline_s=settings.attempts_deadline_h * HOUR_S),
        keeper=KeeperOptions(
            subtask_expiry_s=settings.subtask_expiry_days * DAY_S,
            history_retention_s=settings.history_retention_days * DAY_S,
        ),
        transitions=TransitionOptions(delay_s=settings.transition_delay_s),
        lister=_lister_options(settings),
    )


def _lister_options(settings: Settings) -> ListerOptions:
    """Batches leave streams half of the places for waiting sub-tasks at least: four of a dataflow are under way."""
    most = ListerOptions()
    waiting_max = max(4, min(most.waiting_max, settings.waiting_max // 8))
    return ListerOptions(
        symlinks=Symlinks(settings.symlinks),
        waiting_max=waiting_max,
        feed_max=max(2, waiting_max // 2),  # no listing goes on behind the marker of what is listed itself
        feed_least=max(1, waiting_max // 4),
    )


def catalog_bounds(settings: Settings) -> CatalogBounds:
    """What the catalog is told."""
    return CatalogBounds(waiting_max=settings.waiting_max, transition_delay_s=settings.transition_delay_s)


def executor_options(
    settings: Settings, home: Home, environment: Mapping[str, str], traps: str = ""
) -> LocalExecutorOptions:
    """What the executor is told. Of `environment` movers get credentials, whom to trust, and how to write their log.

    `traps` is the directory of failpoints' traps; none, but in tests.
    """
    return LocalExecutorOptions(
        lock_path=home.movers_lock,
        secrets_path=home.secrets_file,
        environment={
            **passed_on(environment),
            **trusting(environment),
            telemetry.LOG_VARIABLE: settings.log_format,
        },
        movers=settings.movers,
        limits=MoverLimits(
            small_files=settings.mover_small_files,
            large_files=settings.mover_large_files,
        ),
        choices=TransferChoices(
            symlinks=Symlinks(settings.symlinks), owner_and_mode=OwnerAndMode(settings.keep_owner_and_mode)
        ),
        traps=traps,
    )
