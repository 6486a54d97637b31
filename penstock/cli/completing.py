"""What a shell may offer where a command wants an id or a name: asked of the service, HOME or the profiles when Tab is hit.

Offers nothing where the service is not to be found or slow: a shell that waits, or prints an error, is worse than one that does
not know. What asks is imported then only, for every command names these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from penstock.errors import PenstockError

if TYPE_CHECKING:
    from penstock.cli.connection import Service
    from penstock.model import Registry

PATIENCE_S = 2.0
OFFERS_MAX = 100

Offer = tuple[str, str]
"""What is offered, and a few words about it."""


def _offering(find: Callable[[click.Context, str], Iterable[Offer]]) -> Callable[..., list[CompletionItem]]:
    """As click wants it, for whatever begins as what was typed."""

    @wraps(find)
    def offers(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            found = [offer for offer in find(context, incomplete) if offer[0].startswith(incomplete)]
        except (PenstockError, click.ClickException, OSError):
            return []
        return [CompletionItem(value, help=words) for value, words in found[:OFFERS_MAX]]

    return offers


@_offering
def flows(context: click.Context, _: str) -> Iterable[Offer]:
    """Ids of dataflows."""
    for each in _answered(context, "DescribeDataFlows", "DataFlowInfo", "DataFlow"):
        yield each["DataFlowId"], f"{each['FileSystemPath']} {each['SourceStorage']}{each['SourceStoragePath']}"


@_offering
def tasks(context: click.Context, _: str) -> Iterable[Offer]:
    """Ids of streams."""
    for each in _answered(context, "DescribeDataFlowTasks", "TaskInfo", "Task"):
        yield each["TaskId"], f"{each['TaskAction']} {each.get('Directory', '')} {each['Status']}"


@_offering
def sub_tasks(context: click.Context, _: str) -> Iterable[Offer]:
    """Ids of sub-tasks, the newest."""
    for each in _answered(context, "DescribeDataFlowSubTasks", "DataFlowSubTask", "DataFlowSubTask"):
        yield each["DataFlowSubTaskId"], f"{each['SrcFilePath']} {each['Status']}"


@_offering
def file_systems(context: click.Context, _: str) -> Iterable[Offer]:
    """Ids of file systems."""
    registry = _registry(context)
    if registry is not None:
        return [(each.file_system_id, each.root) for each in registry.file_systems.values()]
    from penstock.cli.connection import file_systems_of  # noqa: PLC0415  (see above)

    service = _service(context)
    with service.client:
        return [(each, "") for each in file_systems_of(service.client)]


@_offering
def buckets(context: click.Context, _: str) -> Iterable[Offer]:
    """Names of registered buckets."""
    registry = _registry(context)
    return [(each.name, each.kind.value) for each in registry.buckets.values()] if registry is not None else []


@_offering
def storages(context: click.Context, _: str) -> Iterable[Offer]:
    """The same as dataflows name them."""
    registry = _registry(context)
    found = registry.buckets.values() if registry is not None else ()
    return [(f"{each.scheme}://{each.name}/", each.kind.value) for each in found]


@_offering
def access_keys(context: click.Context, _: str) -> Iterable[Offer]:
    """Ids of active keys."""
    registry = _registry(context)
    found = registry.access_keys.values() if registry is not None else ()
    return [(each.access_key_id, each.description) for each in found if each.active]


@_offering
def profiles(_: click.Context, __: str) -> Iterable[Offer]:
    """Names of profiles."""
    from penstock.cli.connection import profiles_directory  # noqa: PLC0415  (see above)
    from penstock.settings.profiles import load_profiles  # noqa: PLC0415

    return [(each.name, each.endpoint) for each in load_profiles(profiles_directory()).profiles.values()]


def _registry(context: click.Context) -> Registry | None:
    """What HOME says, where one is named."""
    home = context.params.get("home")
    if home is None:
        return None
    from penstock.settings.reading import load_registry, open_home  # noqa: PLC0415  (see above)

    return load_registry(open_home(home))


def _service(context: click.Context) -> Service:
    from penstock.cli.connection import find_service, means_of  # noqa: PLC0415  (see above)

    return find_service(means_of(context, dict(context.params)), timeout_s=PATIENCE_S)


def _answered(context: click.Context, action: str, outer: str, inner: str) -> list[dict[str, str]]:
    service = _service(context)
    with service.client:
        answer = service.call(action, MaxResults=OFFERS_MAX)
    return list(answer.get(outer, {}).get(inner, []))
