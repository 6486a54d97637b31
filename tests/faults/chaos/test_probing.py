"""Is a bucket registered rightly though an answer is lost while it is tried out? And what does that leave, or cost?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from penstock.errors import StoreRefusedError
from penstock.model import AddressingStyle, Bucket, BucketKind, ExportOptions
from penstock.stores.base import Store, Versioning
from penstock.stores.opening import open_store
from tests.faults.chaos.stand import PATIENT
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import Asked, ChaosProxy, Fault, Rule, Talk, honest
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.moto import MotoServer

ANYWHERE = ("lost by close", "lost by reset", "reset before the body", "reset after the body", "504 silent")
OF_WRITES = ("500 but done",)
STEPS = [
    *(("list_list-type", 1), ("list_tagging", 1), ("list_versioning", 1)),
    *(("put", 1), ("put", 2), ("initiate", 1), ("put_part", 1), ("complete", 1), ("abort", 1)),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A new bucket, through the proxy and past it."""

    kind: BucketKind
    proxy: ChaosProxy
    store: Store
    truth: Store

    def check_empty(self) -> None:
        """Nothing of the probe is there any more."""
        if self.kind is BucketKind.OSS or self.truth.versioning() is not Versioning.NEVER:
            assert list(self.truth.list_versions(prefix="")) == []
        assert self.truth.list_objects().objects == []
        assert list(self.truth.list_uploads(prefix="")) == []


Opener = Callable[..., Fresh]


@pytest.fixture(params=["oss", pytest.param("s3", marks=pytest.mark.xdist_group("moto"))])
def kind(request: pytest.FixtureRequest) -> BucketKind:
    """The protocol."""
    return BucketKind(request.param)


@pytest.fixture
def open_fresh(request: pytest.FixtureRequest, kind: BucketKind) -> Iterator[Opener]:
    """Opens a new bucket of a real server."""
    server: EmulatorServer | MotoServer = request.getfixturevalue("emulator" if kind is BucketKind.OSS else "moto")
    with ExitStack() as opened:

        def open_one(*, versioning: str = "", storage_class: str = "") -> Fresh:
            name = (
                server.bucket(versioning=versioning)
                if isinstance(server, EmulatorServer)
                else server.make_bucket(versioning=versioning)
            )
            described = Bucket(
                name=name,
                kind=kind,
                endpoint=server.endpoint,
                region=server.region,
                addressing_style=AddressingStyle.PATH,
                export=ExportOptions(storage_class=storage_class),
            )
            proxy = opened.enter_context(ChaosProxy(server.endpoint))
            truth = open_store(described, server.credentials, timeouts=PATIENT)
            opened.callback(truth.close)
            store = open_store(replace(described, endpoint=proxy.endpoint), server.credentials, timeouts=PATIENT)
            opened.callback(store.close)
            return Fresh(kind=kind, proxy=proxy, store=store, truth=truth)

        yield open_one


@pytest.mark.parametrize("versioning", ["", "Enabled"], ids=["plain", "versioned"])
@pytest.mark.parametrize(("step", "nth"), STEPS)
@pytest.mark.parametrize("name", [*ANYWHERE, *OF_WRITES])
def test_one_answer_that_is_lost_changes_nothing(
    open_fresh: Opener, name: str, step: str, nth: int, versioning: str
) -> None:
    fresh = open_fresh(versioning=versioning)
    if name in OF_WRITES and step not in FAULTS[name].kinds:
        step = "put"
    expected = fresh.truth.probe()
    fresh.proxy.script(Rule(kind=step, fault=FAULTS[name], nth=nth))
    assert fresh.store.probe() == expected
    assert len(fresh.proxy.struck) == 1
    fresh.check_empty()


@pytest.mark.parametrize("versioning", ["", "Enabled"], ids=["plain", "versioned"])
def test_what_is_tried_out_is_never_of_a_class_that_is_paid_for_by_the_month(
    open_fresh: Opener, kind: BucketKind, versioning: str
) -> None:
    chosen, standard = ("Archive", "Standard") if kind is BucketKind.OSS else ("GLACIER", "")
    prefix = "x-oss-" if kind is BucketKind.OSS else "x-amz-"
    fresh = open_fresh(storage_class=chosen, versioning=versioning)
    heard: list[Asked] = []

    def listening(talk: Talk) -> None:
        heard.append(talk.asked)
        honest(talk)

    kinds = ("put", "initiate", "abort", "complete")
    ear = Fault(name="an ear", act=listening, kinds=frozenset(kinds))
    fresh.proxy.script(*(Rule(kind=each, fault=ear, times=99) for each in kinds))
    fresh.store.probe()

    def classes(kind: str) -> list[str]:
        return [asked.headers.get(f"{prefix}storage-class", "") for asked in heard if asked.kind == kind]

    assert set(classes("put")) == {standard}
    assert sorted(set(classes("initiate"))) == sorted({standard, chosen})
    assert classes("initiate").count(chosen) == 1  # it is aborted, so no object comes of it
    first = next(at for at, asked in enumerate(heard) if asked.headers.get(f"{prefix}storage-class") == chosen)
    assert heard[first + 1].kind == "abort"
    fresh.check_empty()


def test_a_class_that_the_service_does_not_know_is_still_found_out(open_fresh: Opener, kind: BucketKind) -> None:
    """moto takes any at Initiate."""
    fresh = open_fresh(storage_class="Nonsense")
    if kind is BucketKind.OSS:
        with pytest.raises(StoreRefusedError):
            fresh.store.probe()
    else:
        fresh.store.probe()
    fresh.check_empty()
