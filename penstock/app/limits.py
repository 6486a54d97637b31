"""What the process, and those it starts, may take of the system: files open at a time, and no core files.

Where callers of the API could take all files, the catalog, the movers' pipes and the listener itself would have none left. A core
file would hold every secret that the process held.
"""

from __future__ import annotations

import resource

from penstock import telemetry

FILES_MAX = 65_536
FILES_AT_LEAST, FILES_EACH = 128, 6
"""How many files a process should be allowed to open: so many, and so many more for each file that a mover moves at once."""
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


def open_files_freely(files_at_once: int) -> None:
    """Use the whole of what we may open, not the little that a shell allows at first; movers inherit it.

    Says so where that is too little for `files_at_once` in each mover.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    needed = FILES_AT_LEAST + FILES_EACH * files_at_once
    if wanted < needed:
        telemetry.event(
            "service.few_files",
            level=telemetry.Level.WARNING,
            may_open=wanted,
            should_open=needed,
            advice="raise the limit of open files (ulimit -Hn, LimitNOFILE=), or lower mover_small_files and mover_large_files",
        )
