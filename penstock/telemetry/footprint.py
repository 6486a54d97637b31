"""What this process takes of the machine, as the kernel counts it. Calls nobody else; keeps nothing."""

from __future__ import annotations

import os


def resident_bytes() -> int:
    """Memory that is resident now."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_ticks() -> tuple[int, int]:
    """Since the machine came up, over all processors: time in which nobody used them, and all time."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
