"""Who would make the equal call, and where: from what the console was handed."""

from __future__ import annotations

from penstock.console.snippets import Caller, Reading
from penstock.console.viewer import Viewer


def caller_of(viewer: Viewer) -> Caller:
    """The visitor, calling the API of this service."""
    reach = viewer.reach
    return Caller(
        endpoint=reach.api_url,
        access_key_id=viewer.name,
        ca_file=reach.ca_file,
        reading=Reading(reach.path_base),
    )
