"""What a server cannot do at all, so that a test of it would say nothing: by server, test and reason.

Only for servers that are judged in the compatibility run; a reason is one that a user of that server has to live with.
"""

from __future__ import annotations

from collections.abc import Mapping

GAPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
"""Server → reason → tests."""


def out_of_scope(shore: str, test: str) -> str:
    """Why this test says nothing of that server; empty where it does."""
    return next((reason for reason, tests in GAPS.get(shore, {}).items() if test in tests), "")
