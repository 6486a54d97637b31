"""Does the console of a stand-in say what it is, and can all of it be done there by hand?"""

from __future__ import annotations

import re

from penstock.testing import Service
from tests.fixtures.visitor import Visitor

LOUD = "never for real data"


def test_everything_can_be_done_on_its_page(penstock: Service) -> None:
    visitor = Visitor(penstock.console)
    visitor.log_in(penstock.access_key_id, penstock.access_key_secret)
    assert LOUD in visitor.get("/").text
    penstock.refuse_next(count=0)  # of programs: pages are spared

    page = visitor.get("/stand-in")
    assert page.status == 200
    assert LOUD in page.text
    assert 'aria-current="page"><svg' in page.text

    def done(act: str, **fields: str) -> None:
        answer = visitor.post(f"/stand-in/{act}", fields)
        assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/stand-in")

    done("arm", Kind="fail", Count="2", Path="*.pt", FailureCode="NoSpace", BytesPerSecond="")
    assert [(fault.kind, fault.count, fault.path) for fault in penstock.faults()][1:] == [("fail", 2, "*.pt")]
    listed = visitor.get("/stand-in").text
    assert re.search(r"NoSpace</bdi>", listed)
    done("remove", FaultId=penstock.faults()[0].fault_id)
    done("clock", AdvanceSeconds="86400")
    done("clock", Frozen="true")
    assert "stands still" in visitor.get("/stand-in").text
    done("snapshot", Name="one")
    done("restore", Name="one")
    assert "Restore one" in visitor.get("/stand-in").text
    done("reset")
    assert penstock.faults() == []
    assert penstock.clock().advanced_s == 0

    refused = visitor.post("/stand-in/arm", {"Kind": "slow"})
    assert "BytesPerSecond" in refused.text
    assert visitor.post("/stand-in/burn", {}).status == 404
