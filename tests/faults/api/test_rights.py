"""Does a key without a right see anything, if only that a thing exists? Every action, and every id that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from penstock.api.dispatch import ALIASES, OPERATIONS
from penstock.model import AccessKey, FileSystem
from tests.faults.api.calls import ACTIONS, World, call_of, ledger, make_world
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM, Response
from tests.fixtures.apiserver import ApiServer, serving

NEIGHBOUR = "bmcpfs-neighbour"
ABSENT = "bmcpfs-000w65p03ok64ya0000"
IDS = ("DataFlowId", "TaskId", "DataFlowTaskId", "DataFlowSubTaskId")

NOTHING = AccessKey(access_key_id="LTAI-nothing", secret="nothing", allow=())
BUCKETS_ONLY = AccessKey(access_key_id="LTAI-buckets", secret="buckets", allow=("oss:*",))
ELSEWHERE = AccessKey(access_key_id="LTAI-elsewhere", secret="elsewhere", file_systems=("bmcpfs-elsewhere",))
NEXT_DOOR = AccessKey(access_key_id="LTAI-next-door", secret="next door", file_systems=(NEIGHBOUR,))


def all_but(action: str) -> AccessKey:
    """A key with the right to every action but this one."""
    name = ALIASES[action].name if action in ALIASES else action
    allow = tuple(f"nas:{other}" for other in OPERATIONS if other != name)
    return AccessKey(access_key_id=f"LTAI-{action}", secret="all but one", allow=allow)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """With a second file system, and keys that are let into little."""
    with serving(tmp_path_factory.mktemp("guarded")) as guarded:
        registry = guarded.registry
        keys = (NOTHING, BUCKETS_ONLY, ELSEWHERE, NEXT_DOOR, *map(all_but, ACTIONS))
        root = guarded.home / "neighbour"
        (root / "data").mkdir(parents=True)
        guarded.registry = replace(
            registry,
            file_systems={**registry.file_systems, NEIGHBOUR: FileSystem(file_system_id=NEIGHBOUR, root=str(root))},
            access_keys={**registry.access_keys, **{key.access_key_id: key for key in keys}},
        )
        yield guarded


@pytest.fixture(scope="module")
def world(server: ApiServer) -> World:
    return make_world(server, 1)


def told(response: Response, *names: str) -> tuple[object, ...]:
    """All of an answer but its request id, and but what the caller has said itself."""
    request_id = response.headers["x-acs-request-id"]
    text = response.text.replace(request_id, "ID")
    for name in names:
        text = text.replace(name, "NAME")
    usual = {
        name: value
        for name, value in response.headers.items()
        if name not in {"x-acs-request-id", "date", "content-length"}
    }
    return response.status, usual, text


def unknown(name: str) -> str:
    """Another id of the same length, that nothing has."""
    return name[:-6] + "zzzzzz"


def as_it_is_and_unknown(call: dict[str, str]) -> Iterator[dict[str, str]]:
    """The call with each choice of known and unknown ids, of file systems too, in parameters and in filters."""
    given = [name for name in IDS if name in call]
    if call.get("Filters.1.Value"):
        given.append("Filters.1.Value")
    choices = [((name, call[name]), (name, unknown(call[name]))) for name in given]
    for system in (FILE_SYSTEM, OLD_FILE_SYSTEM, NEIGHBOUR, ABSENT):
        for chosen in product(*choices):
            yield call | dict(chosen) | {"FileSystemId": system}


@pytest.mark.parametrize("action", ACTIONS)
def test_without_the_right_an_existing_thing_and_an_unknown_one_look_the_same(
    server: ApiServer, world: World, action: str
) -> None:
    before = ledger(server)
    for key in (NOTHING, BUCKETS_ONLY, ELSEWHERE, all_but(action)):
        answers = {
            str(told(server.ask(action, call | more, key=key)))
            for call in as_it_is_and_unknown(call_of(action, world))
            for more in ({}, {"MaxResults": "no number", "ClientToken": "t", "DryRun": "false"})
        }
        assert len(answers) == 1, f"{key.access_key_id} can tell things apart: {answers}"
        assert "Forbidden.RAM" in answers.pop()
    assert ledger(server) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_who_may_use_one_file_system_learns_nothing_of_the_next(server: ApiServer, world: World, action: str) -> None:
    """Ids of another file system are unknown ones; nothing of theirs is told, and nothing of them changes."""
    call = call_of(action, world) | {"FileSystemId": NEIGHBOUR}
    if "SourceStorage" in call or ("Filters.1.Value" not in call and not any(name in call for name in IDS)):
        return  # it names nothing that could be another file system's
    call.pop("DryRun", None)
    before = ledger(server)
    for name in [*(name for name in IDS if name in call), *(["Filters.1.Value"] if "Filters.1.Value" in call else [])]:
        others = {each: unknown(call[each]) for each in IDS if each in call and each != name}
        foreign, nothing = call | others, call | others | {name: unknown(call[name])}
        answers = [told(server.ask(action, asked, key=NEXT_DOOR), asked[name]) for asked in (foreign, nothing)]
        assert answers[0] == answers[1], f"{action}: {name} of another file system is told from an unknown one"
    assert ledger(server) == before


def test_a_bucket_that_another_file_system_uses_tells_nothing_of_it(server: ApiServer) -> None:
    """That it cannot have the bucket as well a caller has to hear, but not who has it."""
    flow = server.make_flow(FileSystemPath="/other/", SourceStorage="oss://unversioned", SourceStoragePath="/x/")
    asked = {
        "FileSystemId": NEIGHBOUR,
        "FileSystemPath": "/data/",
        "SourceStorage": "oss://unversioned",
        "SourceStoragePath": "/x/",
    }
    response = server.ask("CreateDataFlow", asked, key=NEXT_DOOR)
    assert response.code == "InvalidSourceStorage.NeedVersioning"
    assert flow not in response.text
    assert FILE_SYSTEM not in response.text
    assert str(server.home) not in response.text


def test_a_page_does_not_go_on_in_another_file_system(server: ApiServer, world: World) -> None:
    """A token of one listing is none of another's."""
    for number in range(24):
        server.make_sub_task(world.flow, world.task, source=f"/p{number}", target=f"/p{number}")
    page = server.ask("DescribeDataFlowSubTasks", {"FileSystemId": FILE_SYSTEM, "MaxResults": "20"}).body
    first = server.ask("DescribeDataFlowSubTasks", {"FileSystemId": FILE_SYSTEM, "MaxResults": "20"}, key=NEXT_DOOR)
    assert first.code == "Forbidden.RAM"
    token = page["NextToken"]
    assert token
    asked = {"FileSystemId": NEIGHBOUR, "MaxResults": "20", "NextToken": token}
    response = server.ask("DescribeDataFlowSubTasks", asked, key=NEXT_DOOR)
    assert response.code == "InvalidParameter.InvalidNextToken"
    assert world.sub_task not in response.text
    assert world.flow not in response.text
