"""Looks at a service from outside, with what its API tells to this key: endpoint, clock, key, dataflows, its own health."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.app.doctor.findings import Finding, ok, problem, warning
from penstock.app.doctor.greeting import greet
from penstock.app.doctor.stores import clock
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError, ApiUnreachableError

CERTIFICATE_DAYS_LEAST = 14
FLOWS_SHOWN = 5


def look_at_endpoint(options: ClientOptions) -> Iterator[Finding]:
    """Whether something answers there, how far its clock is, how good its certificate."""
    about = "endpoint"
    found = greet(options.endpoint, ca_file=options.ca_file)
    if found.trouble:
        yield problem(
            about,
            f"{options.endpoint}: {found.trouble}",
            "see whether the service runs and the address is right; for a certificate of its own give --ca-file",
        )
        return
    yield from clock(about, found)
    if found.certificate_days is not None and found.certificate_days < CERTIFICATE_DAYS_LEAST:
        yield warning(about, f"its certificate ends in {found.certificate_days:.0f} days", "put a new one in its place")
    if not found.tls and not options.endpoint.startswith(("http://127.", "http://localhost", "http://[::1]")):
        yield warning(about, "it is not encrypted: who listens in reads what is asked and answered", "set up TLS there")
    yield ok(about, f"{options.endpoint} answers in {found.took_s * 1000:.0f} ms{', ' * bool(found.tls)}{found.tls}")


def look_at_key(options: ClientOptions) -> Iterator[Finding]:
    """What this key may see."""
    about = "access key"
    try:
        with Client(options) as client:
            began_s = time.monotonic()
            answer = client.call("DescribeFileSystems", {"PageSize": 100})
            took_s = time.monotonic() - began_s
    except ApiRefusedError as error:
        if error.code == "Forbidden.RAM":
            yield warning(
                about,
                f"{options.access_key_id} may not list file systems",
                "penstock key add HOME --allow 'nas:Describe*'",
            )
            return
        yield problem(
            about,
            f"{options.access_key_id}: {error.code}: {error}",
            error.hint or "see: penstock key list HOME, on its machine",
        )
        return
    except ApiUnreachableError as error:
        yield problem(about, str(error))
        return
    found = [str(each.get("FileSystemId")) for each in answer.get("FileSystems", {}).get("FileSystem", [])]
    if found:
        yield ok(about, f"a signed call takes {took_s * 1000:.0f} ms; it sees {', '.join(found)}")
    else:
        yield warning(about, "it sees no file system", "penstock key add HOME --file-system ID, on its machine")


def look_at_work(options: ClientOptions) -> Iterator[Finding]:
    """How the service itself says that its dataflows, buckets, file systems and movers are."""
    try:
        with Client(options) as client:
            told = client.call("DescribeOverview", {"MaxMoving": 0, "MaxTroubles": 0})
    except ApiRefusedError as error:
        yield ok("service", f"it does not tell this key how it is ({error.code})")
        return
    except ApiUnreachableError:
        return  # said by whoever looks at the endpoint
    counts = told.get("Ledger", {}).get("Counts", {})
    yield ok("service", f"{counts.get('Running', 0):,} sub-tasks are under way, {counts.get('Waiting', 0):,} wait")
    for flow in _listed(told, "DataFlows", "DataFlow"):
        if flow.get("ErrorMessage") or flow.get("Status") == "Misconfigured":
            yield problem(f"dataflow {flow.get('DataFlowId')}", str(flow.get("ErrorMessage") or "it is misconfigured"))
    for outer, inner, name in (
        ("Buckets", "Bucket", "Name"),
        ("FileSystems", "FileSystem", "FileSystemId"),
        ("Movers", "Mover", "Name"),
    ):
        for each in _listed(told, outer, inner):
            about = f"{'file system' if inner == 'FileSystem' else inner.lower()} {each.get(name)}"
            words = str(each.get("Message") or each.get("Soundness"))
            if each.get("Soundness") == "bad":
                yield problem(about, words, "see the service's log, and `penstock doctor HOME` on its machine")
            elif each.get("Soundness") == "slow":
                yield warning(about, words)
            else:
                yield ok(about, words)


def _listed(told: Mapping[str, Any], outer: str, inner: str) -> list[dict[str, Any]]:
    return [each for each in told.get(outer, {}).get(inner, []) if isinstance(each, dict)]
