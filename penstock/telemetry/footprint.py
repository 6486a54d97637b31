"""What this process takes of the machine, as the kernel counts it. Calls nobody else; keeps nothing."""

from __future__ import annotations

import os


def resident_bytes() -> int:
    """Memory that is resident now."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
