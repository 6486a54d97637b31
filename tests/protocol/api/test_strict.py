"""Does strict fidelity refuse what is inferred or ours, does the lenient one take it, and does it tell what it did not know?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.api.dispatch import ALIASES, OPERATIONS
from penstock.api.operation import Origin
from penstock.api.options import ApiOptions, Fidelity
from penstock.api.unfamiliar import LISTED_MAX
from penstock.telemetry import meters, numbers
from scripts.fidelity import sdk, tables
from tests.fixtures import fidelity
from tests.fixtures.apicaller import FILE_SYSTEM, READER, STRANGER, Response
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.inmemory import memory_directory
from tests.fixtures.registered import registered_bucket
from tests.protocol.api.usual import USUAL

SYSTEM = {"FileSystemId": FILE_SYSTEM}
FLOW = {**SYSTEM, "FileSystemPath": "/data/", "SourceStorage": "oss://examplebucket", "SourceStoragePath": "/prefix/"}
OURS = sorted({name for name, operation in OPERATIONS.items() if operation.origin is Origin.OURS} | set(ALIASES))
NEXT_VERSION = "2027-01-01"


@pytest.fixture(scope="module")
def strict() -> Iterator[ApiServer]:
    with memory_directory() as home, serving(Path(home), ApiOptions(fidelity=Fidelity.STRICT)) as server:
        yield server


def refused(response: Response, status: int, code: str) -> None:
    assert (response.status, response.code) == (status, code), response.text


@pytest.mark.parametrize("action", OURS)
def test_an_action_of_ours_is_there_and_strictly_is_not(strict: ApiServer, shared: ApiServer, action: str) -> None:
    refused(strict.ask(action, SYSTEM), 404, "InvalidApi.NotFound")
    assert shared.ask(action, SYSTEM).code not in {"InvalidApi.NotFound", "NotImplemented"}


def test_a_parameter_of_ours_is_read_and_strictly_refused(strict: ApiServer, server: ApiServer) -> None:
    """Each that stands in an action of the vendor's and not in its SDK."""
    wires = {
        ("CreateDataFlow", "Bandwidth"): {"Bandwidth": "1", "FileSystemPath": "/other/"},
        ("ModifyDataFlow", "Bandwidth"): {"Bandwidth": "1"},
        ("CreateDataFlowTask", "CompareChecksum"): {"CompareChecksum": "Stored", "TaskAction": "Compare"},
    }
    ours = {
        (action, name)
        for action, shape in sdk.committed().family.items()
        for parameter in OPERATIONS[action].parameters
        for name in set(parameter.names) - set(shape.parameters)
    }
    assert ours == set(wires)
    for asked in (server, strict):
        flow = {"DataFlowId": asked.make_flow()}
        for (action, _), changes in wires.items():
            wire = {**USUAL[action], **(flow if "DataFlowId" in USUAL[action] else {}), **changes}
            response = asked.ask(action, wire)
            assert response.status == 200 if asked is server else response.code.endswith("Supported"), response.text


def test_every_extension_says_what_strictness_makes_of_it() -> None:
    extensions = {rule.rule_id for rule in fidelity.rules() if rule.origin == "extension"}
    assert set(tables.names().strict) == extensions


@pytest.mark.rule("FLOW-1")
@pytest.mark.code("CreateDataFlow", "InvalidSourceStorage.NotSupport")
def test_buckets_of_another_scheme(strict: ApiServer, shared: ApiServer) -> None:
    wire = FLOW | {"SourceStorage": "s3://s3.bucket", "FileSystemPath": "/other/"}
    refused(strict.ask("CreateDataFlow", wire), 404, "InvalidSourceStorage.NotSupport")
    assert shared.ask("CreateDataFlow", wire).status == 200


@pytest.mark.rule("FLOW-17")
@pytest.mark.code("CreateDataFlow", "InvalidSourceStorage.InvalidRegion")
def test_a_bucket_of_another_region(strict: ApiServer, shared: ApiServer) -> None:
    for server in (strict, shared):
        server.add_bucket(registered_bucket("far", region="us-west-1"))
    wire = FLOW | {"SourceStorage": "oss://far", "FileSystemPath": "/oss/"}
    refused(strict.ask("CreateDataFlow", wire), 404, "InvalidSourceStorage.InvalidRegion")
    assert shared.ask("CreateDataFlow", wire).status == 200


# ----------------------------------------------------------------------------------------------------- what nobody knows


def unfamiliar(server: ApiServer) -> dict[tuple[str, str, str], int]:
    told = server.ask("DescribeOverview", {}).body["Unfamiliar"]
    return {(one["Kind"], one["Action"], one["Name"]): one["Count"] for one in told["Sighted"]}


@pytest.mark.rule("RPC-8")
@pytest.mark.code("DescribeDataFlows", "InvalidParameter.Format")
def test_an_unknown_parameter_is_let_go_and_listed(strict: ApiServer, server: ApiServer) -> None:
    wire = {**SYSTEM, "OrderBy": "Name", "Weights.1.Key": "a", "Filters.1.Key": "Status", "Filters.1.Value": "Running"}
    for _ in range(2):
        assert server.ask("DescribeDataFlows", wire).status == 200
    assert server.ask_older("DescribeDataFlows", SYSTEM | {"RegionId": "cn-hangzhou"}).status == 200
    seen = {("parameter", "DescribeDataFlows", name): 2 for name in ("OrderBy", "Weights.1.Key")}
    assert unfamiliar(server) == seen
    refused(strict.ask("DescribeDataFlows", wire), 400, "InvalidParameter.Format")
    assert strict.ask_older("DescribeDataFlows", SYSTEM | {"RegionId": "cn-hangzhou"}).status == 200


@pytest.mark.rule("RPC-9")
@pytest.mark.code("*", "InvalidApi.NotFound")
def test_another_version_is_taken_for_ours_and_listed(strict: ApiServer, server: ApiServer) -> None:
    changes = {"x-acs-version": NEXT_VERSION}
    labels = ("DescribeDataFlows", "version")
    before = numbers.counts(meters.API_UNFAMILIAR).get(labels, 0)
    assert server.ask("DescribeDataFlows", SYSTEM, changes=changes).status == 200
    assert unfamiliar(server) == {("version", "DescribeDataFlows", NEXT_VERSION): 1}
    assert numbers.counts(meters.API_UNFAMILIAR)[labels] == before + 1
    refused(server.ask("DescribeDataFlows", SYSTEM, changes={"x-acs-version": "2"}), 404, "InvalidApi.NotFound")
    refused(server.ask("DescribeNothing", SYSTEM, changes=changes), 404, "InvalidApi.NotFound")
    refused(strict.ask("DescribeDataFlows", SYSTEM, changes=changes), 404, "InvalidApi.NotFound")


@pytest.mark.rule("RPC-8")
def test_the_list_is_bounded_and_for_those_who_see_everything(server: ApiServer) -> None:
    names = [f"Odd{number}" for number in range(LISTED_MAX + 10)]
    for begin in (0, len(names) // 2):
        wire = dict.fromkeys(names[begin : begin + len(names) // 2], "x")
        assert server.ask("DescribeFileSystems", wire).status == 200
    told = server.ask("DescribeOverview", {}, key=READER).body["Unfamiliar"]
    assert (len(told["Sighted"]), told["UnlistedCount"]) == (LISTED_MAX, 10)
    assert "Unfamiliar" not in server.ask("DescribeOverview", {}, key=STRANGER).body
