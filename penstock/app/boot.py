"""Which life of the machine this is: another one after each boot, one for all services in between. Reads a file of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(entropy: Callable[[int], bytes], *, path: Path = BOOT_ID) -> str:
    """Its name; one that never was where the kernel tells none: then each start may be the first after a power cut."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return entropy(16).hex()
