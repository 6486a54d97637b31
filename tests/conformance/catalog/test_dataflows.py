"""Does a dataflow keep its rules: how many, on which bucket, from which status to which?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from penstock.catalog.verbs import Changes, DataFlowQuery, Health
from penstock.errors import (
    CatalogError,
    ConflictError,
    DataFlowNotFoundError,
    DependencyViolationError,
    InvalidStateError,
    VersioningRequiredError,
)
from penstock.model import DataFlowStatus
from tests.fixtures.ledger import FS, START_NS, Book

pytestmark = pytest.mark.anyio


async def status(book: Book, flow: str) -> DataFlowStatus:
    return (await book.catalog.data_flow(FS, flow)).status


async def put(book: Book, flow: str, wanted: DataFlowStatus) -> None:
    """Bring a Running dataflow into a status."""
    if wanted is DataFlowStatus.STOPPED:
        await book.catalog.stop_data_flow(book.call(), FS, flow)
    elif wanted is DataFlowStatus.MISCONFIGURED:
        await book.catalog.set_health(flow, health=Health.UNREACHABLE)
    assert await status(book, flow) is wanted


async def test_it_runs_when_its_id_is_answered(book: Book) -> None:
    flow = await book.flow("/data/", "bucket")
    found = await book.catalog.data_flow(FS, flow)
    assert (found.status, found.bucket, found.error_message) == (DataFlowStatus.RUNNING, "bucket", "")
    assert found.created_ns == found.updated_ns == START_NS


async def test_a_file_system_has_ten_at_most_and_a_place_is_free_again_after_a_delete(book: Book) -> None:
    flows = [await book.flow(f"/{i}/", f"bucket{i}") for i in range(10)]
    with pytest.raises(DependencyViolationError, match="10 dataflows"):
        await book.flow("/more/", "more")
    await book.catalog.delete_data_flow(book.call(), FS, flows[3])
    await book.flow("/more/", "more")
    other = book.new_flow("/x/", "bucket", fs="bmcpfs-other")
    assert await book.catalog.create_data_flow(book.call(), other)


async def test_a_second_on_one_bucket_needs_versioning_and_the_refused_one_takes_no_place(book: Book) -> None:
    first = await book.flow("/one/", "bucket", versioned=False)
    with pytest.raises(VersioningRequiredError, match="bucket bucket"):
        await book.flow("/two/", "bucket", versioned=False)
    await book.flow("/two/", "bucket", versioned=True)
    await book.catalog.delete_data_flow(book.call(), FS, first)
    for i in range(9):  # none of the ten places was taken by the refusal
        await book.flow(f"/{i}/", f"b{i}")


async def test_a_path_is_bound_to_one_bucket_until_its_dataflow_is_deleted(book: Book) -> None:
    flow = await book.flow("/data/", "one")
    with pytest.raises(ConflictError, match=r"/data/ is bound to oss://one"):
        await book.flow("/data/", "two")
    await book.flow("/data/", "one")  # the same pair twice is allowed
    await book.flow("/data/nested/", "two")
    for found in (await book.catalog.data_flows(DataFlowQuery(file_system_id=FS), next_token="", limit=20)).items:
        if found.file_system_path == "/data/":
            await book.catalog.delete_data_flow(book.call(), FS, found.data_flow_id)
    assert await book.flow("/data/", "two") != flow


ALLOWED = {
    ("stop", DataFlowStatus.RUNNING): DataFlowStatus.STOPPED,
    ("stop", DataFlowStatus.MISCONFIGURED): DataFlowStatus.STOPPED,
    ("start", DataFlowStatus.STOPPED): DataFlowStatus.RUNNING,
    ("modify", DataFlowStatus.RUNNING): DataFlowStatus.RUNNING,
    ("modify", DataFlowStatus.MISCONFIGURED): DataFlowStatus.MISCONFIGURED,
    ("delete", DataFlowStatus.RUNNING): DataFlowStatus.DELETED,
    ("delete", DataFlowStatus.MISCONFIGURED): DataFlowStatus.DELETED,
    ("delete", DataFlowStatus.STOPPED): DataFlowStatus.DELETED,
    ("lose", DataFlowStatus.RUNNING): DataFlowStatus.MISCONFIGURED,
    ("lose", DataFlowStatus.MISCONFIGURED): DataFlowStatus.MISCONFIGURED,
    ("lose", DataFlowStatus.STOPPED): DataFlowStatus.STOPPED,
    ("find", DataFlowStatus.RUNNING): DataFlowStatus.RUNNING,
    ("find", DataFlowStatus.MISCONFIGURED): DataFlowStatus.RUNNING,
    ("find", DataFlowStatus.STOPPED): DataFlowStatus.STOPPED,
}


@pytest.mark.parametrize("verb", ["stop", "start", "modify", "delete", "lose", "find"])
@pytest.mark.parametrize("before", [DataFlowStatus.RUNNING, DataFlowStatus.STOPPED, DataFlowStatus.MISCONFIGURED])
async def test_each_verb_in_each_status(book: Book, verb: str, before: DataFlowStatus) -> None:
    flow = await book.flow()
    await put(book, flow, before)
    verbs: dict[str, Callable[[], Awaitable[None]]] = {
        "stop": lambda: book.catalog.stop_data_flow(book.call(), FS, flow),
        "start": lambda: book.catalog.start_data_flow(book.call(), FS, flow),
        "modify": lambda: book.catalog.modify_data_flow(book.call(), FS, flow, Changes(description="new words")),
        "delete": lambda: book.catalog.delete_data_flow(book.call(), FS, flow),
        "lose": lambda: book.catalog.set_health(flow, health=Health.UNREACHABLE),
        "find": lambda: book.catalog.set_health(flow, health=Health.REACHABLE),
    }
    after = ALLOWED.get((verb, before))
    if after is None:
        with pytest.raises(InvalidStateError, match=f"is {before}"):
            await verbs[verb]()
        assert await status(book, flow) is before
        return
    await verbs[verb]()
    if after is DataFlowStatus.DELETED:
        with pytest.raises(DataFlowNotFoundError):
            await book.catalog.data_flow(FS, flow)
        return
    found = await book.catalog.data_flow(FS, flow)
    assert found.status is after
    assert found.error_message == ("SourceStorageUnreachable" if after is DataFlowStatus.MISCONFIGURED else "")
    assert found.description == ("new words" if verb == "modify" else "")


async def test_live_tasks_keep_it_from_being_deleted_and_cancelled_ones_do_not(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    with pytest.raises(DependencyViolationError, match="1 live task"):
        await book.catalog.delete_data_flow(book.call(), FS, flow)
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    await book.catalog.delete_data_flow(book.call(), FS, flow)


async def test_what_is_deleted_or_elsewhere_or_no_id_is_not_found(book: Book) -> None:
    flow = await book.flow()
    for file_system, data_flow in (
        ("bmcpfs-other", flow),
        (FS, "df-0000000000000000"),
        (FS, "df-'; DROP TABLE data_flows"),
        (FS, flow.upper()),
        (FS, "df-ffffffffffffffff"),
    ):
        with pytest.raises(DataFlowNotFoundError):
            await book.catalog.data_flow(file_system, data_flow)
        with pytest.raises(DataFlowNotFoundError):
            await book.catalog.stop_data_flow(book.call(), file_system, data_flow)
    await book.catalog.delete_data_flow(book.call(), FS, flow)
    with pytest.raises(DataFlowNotFoundError):
        await book.catalog.delete_data_flow(book.call(), FS, flow)


async def test_watched_are_running_and_misconfigured_ones_of_all_file_systems(book: Book) -> None:
    flows = [await book.flow(f"/{i}/", f"b{i}") for i in range(4)]
    other = await book.catalog.create_data_flow(book.call(), book.new_flow(fs="bmcpfs-other"))
    await put(book, flows[1], DataFlowStatus.STOPPED)
    await put(book, flows[2], DataFlowStatus.MISCONFIGURED)
    await book.catalog.delete_data_flow(book.call(), FS, flows[3])
    watched = [flow.data_flow_id for flow in await book.catalog.watched_data_flows()]
    assert watched == [flows[0], flows[2], other]


async def test_of_many_callers_at_once_ten_get_a_place(book: Book) -> None:
    answers = await asyncio.gather(*(book.flow(f"/{i}/", f"b{i}") for i in range(25)), return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 10
    assert all(isinstance(answer, str | DependencyViolationError) for answer in answers)
    assert sum(isinstance(answer, CatalogError) for answer in answers) == 15
