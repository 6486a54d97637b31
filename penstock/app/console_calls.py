"""What the API has seen, for the console: without secrets, and only what the visitor's key may know of.

Whose key is for everything sees every call, also those that nobody signed; any other key sees its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.api.application import Api
from penstock.api.hints import hints
from penstock.api.witness import SECRET, Sighting
from penstock.console.calls import Call
from penstock.model import AccessKey

_USER_AGENT_MAX = 200


def calls_seen(api: Api, key: AccessKey, after: int) -> Iterator[Call]:
    """Newest first, those with a number beyond `after`."""
    sees_all = "*" in key.allow and "*" in key.file_systems
    for sighting in api.witness.calls(after):
        if sees_all or (sighting.is_signed and sighting.access_key_id == key.access_key_id):
            yield _call(api, sighting)


def _call(api: Api, sighting: Sighting) -> Call:
    return Call(
        number=sighting.number,
        at_ns=sighting.at_ns,
        took_s=sighting.took_s,
        action=sighting.action,
        access_key_id=sighting.access_key_id,
        client=sighting.headers.get("user-agent", "")[:_USER_AGENT_MAX],
        status=sighting.status,
        code=sighting.code,
        request_id=sighting.request_id,
        parameters={name: value for name, value in sighting.parameters.items() if name not in SECRET},
        answer=sighting.answer,
        hints=hints(sighting, api.options),
        is_cut=sighting.is_cut,
    )
