"""What the process, and those it starts, may take of the system: files open at a time, and no core files.

Where callers of the API could take all files, the catalog, the movers' pipes and the listener itself would have none left. A core
file would hold every secret that the process held.
"""

from __future__ import annotations

import resource

CONNECTIONS_MAX = 4096
OURS = 512  # databases, pipes, roots of file systems, connections to stores, the page of metrics
FEWEST = 16


def connections_within_limit() -> int:
    """How many connections the API may have; raises the process's own limit (the soft one) as far as that takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OURS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(min(CONNECTIONS_MAX, soft - OURS), FEWEST)


def leave_no_core_files() -> None:
    """From now on a crash leaves none, of the processes that this one starts neither."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
