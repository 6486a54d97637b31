"""The API as a whole: from a request that is complete to its answer, which tells nothing of our insides.

One route needs no router. Called by `connection`; calls `callers`, `dispatch`, `perform` and `answers`.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from penstock import telemetry
from penstock.api import answers, dispatch, health, protocol
from penstock.api.answers import Answer, Caller, RequestIds
from penstock.api.bodies import Bodies
from penstock.api.callers import Callers, Find, Heard
from penstock.api.crowd import Crowd
from penstock.api.downloads import MARK, Download, Downloads
from penstock.api.errands import Errands
from penstock.api.errors import ApiError, from_penstock
from penstock.api.founder import Founder, NoFounder
from penstock.api.operation import Desk, Effect, Nonce, Operation, Reply
from penstock.api.options import ApiOptions
from penstock.api.parameters import Wire
from penstock.api.perform import perform
from penstock.api.protocol import Format, Head
from penstock.api.streams import Streams
from penstock.api.times import zone_named
from penstock.api.trail import Trail
from penstock.api.unfamiliar import Unfamiliar
from penstock.api.witness import Witness
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing
from penstock.catalog.shown import Shown
from penstock.errors import CatalogError
from penstock.model import AccessKey, Bucket, Registry, Report
from penstock.stores.base import Store
from penstock.telemetry import meters
from penstock.telemetry.seldom import Seldom

_FRAMES_LOGGED = 4
_REPLAYED = "SignatureNonceUsed"
_STRANGE_MOST, _STRANGE_PERIOD_S = 10, 60.0
_REFUSED_MOST = 60  # in the same time; among them are callers whose mistakes somebody may look for by RequestId


class Run(Protocol):
    """Runs an operation for its caller: `perform`, with a desk."""

    async def __call__(
        self, operation: Operation, *, principal: AccessKey, wire: Wire, nonce: Nonce, host: str = ""
    ) -> Reply:
        """As `perform`."""


def create_api(
    *,
    catalog: Catalog,
    seeing: Seeing | None = None,
    registry: Callable[[], Registry],
    open_bucket: Callable[[Bucket], Store],
    options: ApiOptions,
    now_ns: Callable[[], int],
    entropy: Callable[[int], bytes],
    reasons: health.Reasons = health.always_ready,
    founder: Founder | None = None,
) -> Api:
    """The API over this catalog. Raises SettingsError for an unknown `api_time_zone`.

    `seeing` is what is shown of the whole service; without one it is what the catalog tells. `open_bucket` is called for each
    look at a bucket, and what it returns is closed again. `reasons` tell why the service is not ready. `founder` makes file
    systems, where any may be made.
    """
    desk = make_desk(
        catalog=catalog,
        seeing=seeing,
        registry=registry,
        open_bucket=open_bucket,
        options=options,
        now_ns=now_ns,
        founder=founder,
    )
    return Api(desk, now_ns=now_ns, entropy=entropy, reasons=reasons)


def make_desk(
    *,
    catalog: Catalog,
    seeing: Seeing | None,
    registry: Callable[[], Registry],
    open_bucket: Callable[[Bucket], Store],
    options: ApiOptions,
    now_ns: Callable[[], int],
    founder: Founder | None = None,
) -> Desk:
    """What operations over this catalog work with. Raises SettingsError for an unknown `api_time_zone`."""
    return Desk(
        catalog=catalog,
        seeing=seeing or Shown(catalog.reading),
        registry=registry,
        open_bucket=open_bucket,
        options=options,
        zone=zone_named(options.api_time_zone),
        stores=Errands("api-store", threads_each=options.errand_threads),
        file_systems=Errands("api-file-system", threads_each=options.errand_threads),
        streams=Streams(catalog, max_count=options.streams_cached_max),
        downloads=Downloads(catalog.batches, scheme=options.scheme, link_s=options.report_link_s, now_ns=now_ns),
        unfamiliar=Unfamiliar(now_ns),
        founder=founder or NoFounder(),
    )


class Api:
    """`answer` for what comes over the wire, and `perform` for callers in this process."""

    def __init__(
        self,
        desk: Desk,
        *,
        now_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
        reasons: health.Reasons = health.always_ready,
    ) -> None:
        self.options = desk.options
        self.bodies = Bodies(max_bytes=desk.options.bodies_max_bytes)
        self.callers = Callers(desk, now_ns=now_ns)
        self._find: Find = dispatch.find
        self._run: Run = partial(perform, desk)
        self.witness = Witness(now_ns())
        self.trail = Trail()
        self.crowd = Crowd(max_count=desk.options.connections_max)
        self._desk = desk
        self._now_ns = now_ns
        self._reasons = reasons
        self._request_ids = RequestIds(entropy)
        self._strange = Seldom("http.refused", most=_STRANGE_MOST, period_s=_STRANGE_PERIOD_S)
        # Whoever proves no key can be refused at will: that must not leave a key's holder without a line.
        self._refusals = {who: Seldom("api.refused", most=_REFUSED_MOST, period_s=_STRANGE_PERIOD_S) for who in Caller}

    async def answer(self, head: Head, body: bytes) -> tuple[Answer | Download, Format]:
        """What to answer to a whole request, and in which shape. Raises nothing."""
        if head.query_string.startswith(MARK):
            return await self._download(head), Format.JSON
        began_s = time.perf_counter()
        if head.path:
            return await health.answered(head.path, self._reasons, self._request_ids.take()), Format.JSON
        answer, shape, heard = await self._answer(head, body)
        took_s = time.perf_counter() - began_s
        self.witness.saw(head, len(body), heard, answer, at_ns=self._now_ns(), took_s=took_s)
        action = answer.action or "refused"
        telemetry.numbers.count(meters.API_REQUESTS, (action, answer.code or "OK"))
        telemetry.numbers.observe(meters.API_LATENCY, took_s, (action,))
        return answer, shape

    async def _answer(self, head: Head, body: bytes) -> tuple[Answer, Format, Heard | None]:
        request_id = self._request_ids.take()
        host = head.headers.get("host", "")
        shape, caller, heard = None, Caller.UNSIGNED, None
        try:
            heard = await self.callers.heard(head, body)
            request, shape, operation, key, nonce = heard
            caller = Caller.SIGNED
            reply = await self._run(operation, principal=key, wire=request.parameters, nonce=nonce, host=host)
            self._note(operation, reply, request.parameters, request_id)
        except ApiError as error:
            if shape is None:
                shape = protocol.format_hint(self.options, head.query_string, body)
            if error.code == _REPLAYED:
                caller = Caller.UNSIGNED
            return self._refused(error, caller, request_id=request_id, host=host), shape, heard
        except Exception as error:  # noqa: BLE001 - a fault of ours becomes an answer
            return self._failed(error, request_id=request_id, host=host), shape or Format.JSON, heard
        return self._done(operation, reply, request_id), shape, heard

    async def _download(self, head: Head) -> Download | Answer:
        """What a link to a report leads to, or why it leads nowhere."""
        try:
            return await self._desk.downloads.find(head)
        except ApiError as error:
            refused = error
        except CatalogError as error:
            mapped = from_penstock(error, retry_after_s=self.options.throttled_retry_after_s)
            refused = mapped or ApiError("ServiceUnavailable", "The catalog cannot be asked now.")
        return self.refusal(refused, host=head.headers.get("host", ""), peer="")

    async def report(self, task_id: str, report: Report) -> Download | None:
        """A batch's report for a caller of our own process, who has judged who may have it. Raises CatalogError."""
        return await self._desk.downloads.open(task_id, report)

    def refusal(self, error: ApiError, *, host: str, peer: str) -> Answer:
        """The answer to what never became a request, of `peer`'s. Anybody can cause that, so it is logged seldom."""
        request_id = self._request_ids.take()
        telemetry.numbers.count(meters.API_REQUESTS, ("refused", error.code))
        self._strange.event(
            level=telemetry.Level.WARNING, request_id=request_id, code=error.code, peer=peer, words=error.message
        )
        return answers.refusal(error, action="", request_id=request_id, host=host)

    async def perform(self, principal: AccessKey, action: str, parameters: Mapping[str, str]) -> Answer:
        """One action for a caller of our own process, unsigned: rights, checks and answers are those of the wire."""
        request_id = self._request_ids.take()
        try:
            operation = self._find(action, protocol.VERSION, self.options.fidelity)
            reply = await self._run(operation, principal=principal, wire=parameters, nonce=Nonce(""))
            self._note(operation, reply, parameters, request_id)
        except ApiError as error:
            return self._refused(error, Caller.SIGNED, request_id=request_id, host="")
        except Exception as error:  # noqa: BLE001 - a fault of ours becomes an answer
            return self._failed(error, request_id=request_id, host="")
        return self._done(operation, reply, request_id)

    # ------------------------------------------------------------------------------------------------------------ within

    def _note(self, operation: Operation, reply: Reply, wire: Mapping[str, str], request_id: str) -> None:
        if self.options.log_made and operation.effect is Effect.WRITE:
            self.trail.made(operation, reply, wire, request_id)

    @staticmethod
    def _done(operation: Operation, reply: Reply, request_id: str) -> Answer:
        if reply.headers:
            telemetry.event("api.marked", request_id=request_id, action=operation.name, headers=dict(reply.headers))
        return answers.success(operation.name, request_id, reply.fields, reply.headers)

    def _refused(self, error: ApiError, caller: Caller, *, request_id: str, host: str) -> Answer:
        """Strangers can cause it too, with no signature: it is logged so and so often."""
        self._refusals[caller].event(
            level=telemetry.Level.INFO, request_id=request_id, code=error.code, caller=caller.value
        )
        return answers.refusal(error, action="", request_id=request_id, host=host, caller=caller)

    @staticmethod
    def _failed(error: Exception, *, request_id: str, host: str) -> Answer:
        frames = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES_LOGGED:])
        telemetry.failure("api.failed", error, request_id=request_id, frames=frames)
        fault = ApiError("InternalError", "Something went wrong here; the service's log tells more by this RequestId.")
        return answers.refusal(fault, action="", request_id=request_id, host=host)
