"""What limits the speed right now: the first reason that holds, from what is broken to what is only as it is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from penstock.catalog.live import Limit, Limiter
from penstock.engine.journey import Ends
from penstock.engine.messages import BucketFigures, Figures

IDLE_LEAST = 0.05
"""With less of the processors idle they are what is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is to judge by: movers, attempts that they have, what waits, what is in trouble.

    `moving` counts attempts by bucket and file system. Of sub-tasks that are not final `startable` are those whose dataflow is
    Running, and `running` those that were begun once. `idle`: the part of all processors that nobody used, None if unknown.
    `limited` is the dataflow of most attempts, if it moves as much as it may.
    """

    movers_up: int
    catalog_lags: bool
    moving: Counter[Ends]
    large: int
    small: int
    places_small: int
    waiting: int
    live: int
    startable: int
    running: int
    figures: Figures
    silent: Collection[str]
    troubled_file_systems: Collection[str]
    idle: float | None
    limited: str = ""


def limit_of(situation: Situation) -> Limit:
    """The one to tell."""
    if not situation.movers_up:
        return Limit(limiter=Limiter.NO_MOVER)
    if situation.catalog_lags:
        return Limit(limiter=Limiter.CATALOG)
    return _while_moving(situation) if situation.moving else _while_nothing_moves(situation)


def _while_nothing_moves(situation: Situation) -> Limit:
    if not situation.live:
        return Limit(limiter=Limiter.NOTHING_TO_DO)
    if not situation.startable:
        return Limit(limiter=Limiter.STOPPED)
    for bucket in sorted(situation.silent):
        return Limit(limiter=Limiter.BUCKET_SILENT, about=bucket)
    for figures in situation.figures.buckets:
        if figures.paused_s > 0:
            return Limit(limiter=Limiter.BUCKET_THROTTLES, about=figures.bucket)
    for file_system in sorted(situation.troubled_file_systems):
        return Limit(limiter=Limiter.FILE_SYSTEM_AWAY, about=file_system)
    return Limit(limiter=Limiter.RETRIES if situation.running else Limiter.STORE_TIME)


def _while_moving(situation: Situation) -> Limit:
    """By the bucket and the file system between which most moves."""
    ((bucket, file_system), _), *_ = situation.moving.most_common(1)
    buckets: Mapping[str, BucketFigures] = {one.bucket: one for one in situation.figures.buckets}
    figures = buckets.get(bucket)
    if bucket in situation.silent:
        return Limit(limiter=Limiter.BUCKET_SILENT, about=bucket)
    if figures is not None and _is_throttled(figures):
        return Limit(limiter=Limiter.BUCKET_THROTTLES, about=bucket)
    if situation.limited:
        return Limit(limiter=Limiter.THROUGHPUT, about=situation.limited)
    if situation.idle is not None and situation.idle < IDLE_LEAST:
        return Limit(limiter=Limiter.PROCESSOR)
    if _is_slow(situation, figures, file_system):
        return Limit(limiter=Limiter.FILE_SYSTEM_SLOW, about=file_system)
    if figures is not None and figures.waiting > 0 and figures.in_flight >= int(figures.window):
        return Limit(limiter=Limiter.BUCKET_SLOW, about=bucket)
    if situation.large:
        width, width_max = situation.figures.part_width, situation.figures.part_width_max
        at_bound = figures is not None and 0 < width_max <= width and figures.parts >= width_max
        return Limit(limiter=Limiter.SLOTS if at_bound else Limiter.BANDWIDTH, about=bucket)
    if situation.waiting and situation.small >= situation.places_small:
        return Limit(limiter=Limiter.SLOTS)
    return Limit(limiter=Limiter.STORE_TIME, about=bucket)


def _is_throttled(figures: BucketFigures) -> bool:
    return figures.paused_s > 0 or (figures.rate_per_s is not None and figures.waiting > 0)


def _is_slow(situation: Situation, figures: BucketFigures | None, file_system: str) -> bool:
    """Small files' steps wait for it, or most parts of large files are at it, and not at the store."""
    if situation.small and file_system in situation.figures.slow_file_systems:
        return True
    return figures is not None and figures.parts > 1 and 2 * figures.away > figures.parts
