"""Is a call of the bulk door carried out once, whatever is repeated, rehearsed or full by then?"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import pytest

from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM
from tests.protocol.api.bulkdoor import ACTION, Door, entries, entry, ids_of, narrow


@pytest.mark.rule("BULK-4")
def test_the_first_are_accepted_while_there_are_places(door: Door) -> None:
    narrow(door.server, 5)
    given = [entry("no", "no"), *entries(8)]
    found = door.results(given, ClientToken="t")
    assert found[0]["Code"] == "InvalidParameter.InvalidFormat"
    made = ids_of(found[1:6])
    assert [result["Code"] for result in found[6:]] == ["Throttling.User"] * 3
    assert [item["DataFlowSubTaskId"] for item in door.found()[::-1]] == made
    response = door.send(entries(2, "more"), ClientToken="u")
    assert (response.status, response.code) == (400, "Throttling.User")
    assert response.headers["x-acs-retry-after"] == "1"
    assert door.results(given, ClientToken="t") == found
    assert len(enginestand.claim(door.server, door.task)) == 5  # started: they wait no more
    assert len(ids_of(door.results(entries(2, "more"), ClientToken="u"))) == 2  # a refused call left no token


@pytest.mark.rule("BULK-4")
def test_a_full_catalog_still_says_what_is_wrong_with_entries_that_need_no_place(door: Door) -> None:
    narrow(door.server, 2)
    ids_of(door.results(entries(2)))
    assert door.results([entry("no", "no")])[0]["Code"] == "InvalidParameter.InvalidFormat"


@pytest.mark.rule("BULK-6")
def test_a_token_stands_for_all_results_whatever_has_become_of_the_things(door: Door) -> None:
    given = [*entries(3), entry("no", "no"), *entries(2, "x"), entry("/a//b"), entry("also", "no")]
    first = door.results(given, ClientToken="t")
    assert ["Code" in result for result in first] == [False, False, False, True, False, False, True, True]
    assert door.results(given, ClientToken="t") == first
    for sub_task in ids_of([result for result in first if "Code" not in result]):
        door.server.make("CancelDataFlowSubTask", "RequestId", {**door.ids, "DataFlowSubTaskId": sub_task})
    assert door.results(given, ClientToken="t") == first
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": door.flow}
    door.server.make("CancelDataFlowTask", "RequestId", ids | {"TaskId": door.task})
    assert door.results(given, ClientToken="t") == first
    door.server.make("DeleteDataFlow", "RequestId", ids)
    door.server.restart()  # what is remembered of streams in memory is gone, too
    assert door.results(given, ClientToken="t") == first
    door.server.registry = replace(door.server.registry, file_systems={})
    assert door.results(given, ClientToken="t") == first


@pytest.mark.rule("BULK-6")
def test_a_token_with_other_files_is_refused(door: Door) -> None:
    given = entries(3)
    ids_of(door.results(given, ClientToken="t"))
    for other in (given[:2], given[::-1], [*given, entry()], json.dumps(given, separators=(",", ":"))):
        door.refused(400, "IdempotentParameterMismatch", other, ClientToken="t")
    door.refused(400, "IdempotentParameterMismatch", given, ClientToken="t", PathBase="task")
    wire = {**door.ids, "SrcFilePath": "/0000", "DstFilePath": "/0000", "ClientToken": "t"}
    assert door.server.ask("CreateDataFlowSubTask", wire).code == "IdempotentParameterMismatch"
    assert len(door.found()) == 3


@pytest.mark.rule("BULK-6")
def test_what_is_remembered_of_a_call_is_small(door: Door) -> None:
    """However many are refused: whoever refuses a thousand entries in turn must not fill the catalog."""
    given: list[object] = [entry(f"/{number}", "no" if number % 2 else "/a") for number in range(1000)]
    found = door.results(given, ClientToken="t")
    assert door.results(given, ClientToken="t") == found
    call = {**door.ids, "SubTasks": json.dumps(given)}
    assert len(json.dumps(found)) > 40_000 < len(call["SubTasks"])
    door.server.stop()
    ledger = sqlite3.connect(door.server.home / "catalog.db")
    ((kept,),) = ledger.execute("SELECT MAX(LENGTH(result) + LENGTH(fingerprint)) FROM client_tokens").fetchall()
    ledger.close()
    door.server.start()
    assert kept < 5_000


@pytest.mark.rule("BULK-6")
@pytest.mark.rule("DRY-1")
def test_a_dry_run_tells_all_and_changes_nothing(door: Door) -> None:
    narrow(door.server, 4)
    given = [entry("no", "no"), *entries(6)]
    found = door.results(given, DryRun="true", ClientToken="t")
    assert [result.get("Code", "accepted") for result in found] == [
        "InvalidParameter.InvalidFormat", *["accepted"] * 4, *["Throttling.User"] * 2,
    ]  # fmt: skip
    assert {result["DataFlowSubTaskId"] for result in found[1:5]} == {""}
    assert door.found() == []
    made = door.results(given, ClientToken="t")  # the dry run kept no token
    assert all(ids_of(made[1:5]))
    again = door.results(given, DryRun="true", ClientToken="t")
    assert [{**result, "DataFlowSubTaskId": ""} if "Code" not in result else result for result in made] == again
    door.refused(400, "IdempotentParameterMismatch", entries(1), DryRun="true", ClientToken="t")
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": door.flow}
    assert door.server.ask("StopDataFlow", ids).status == 200
    door.refused(403, "OperationDenied.InvalidState", given, DryRun="true")


@pytest.mark.rule("BULK-6")
def test_a_nonce_is_taken_once(door: Door) -> None:
    wire = {**door.ids, "SubTasks": json.dumps(entries(2))}
    assert door.server.ask(ACTION, wire, nonce="n").status == 200
    assert door.server.ask(ACTION, wire, nonce="n").code == "SignatureNonceUsed"
    assert door.server.ask(ACTION, wire | {"SubTasks": "[]"}, nonce="m").status == 404
    assert door.server.ask(ACTION, wire, nonce="m").code == "SignatureNonceUsed"
    assert len(door.found()) == 2
