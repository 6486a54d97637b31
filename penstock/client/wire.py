"""The wire: one call of the API after another, over one kept connection.

Called by the command line, by `Penstock`, and by programs that want the API as it is. It follows no redirects, tries nothing
twice, verifies certificates, and knows neither HOME nor the environment: address and keys are arguments. One thread at a time.
"""

from __future__ import annotations

import http.client
import os
import select
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self

from penstock.client.answers import ANSWER_MAX_BYTES, Answered, read_answer, reason, retry_after_s
from penstock.client.bulk import Created, FileToMove, StreamIds, bulk_call, bulk_results
from penstock.client.signing import Address, Call, ClientOptions, Parameter, Written, address_of, written
from penstock.errors import ApiUnreachableError


class Client:
    """Calls the API. `now_s` and `entropy` are clock and randomness, given by tests."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        now_s: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Raises ApiUnreachableError for an endpoint that is no address or a CA file that cannot be read."""
        self._options = options
        self._now_s = now_s
        self._entropy = entropy
        address = address_of(options.endpoint)
        self._host = address.host
        self._connection = connection_to(options, address)

    def call(
        self, action: str, parameters: Mapping[str, Parameter | None], *, form: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, Any]:
        """The answer to one call; what is too long for a URL goes into `form`, as ASCII text.

        Raises ApiRefusedError (the API's own word) and ApiUnreachableError (no answer: the outcome is unknown).
        """
        call = Call(action=action, parameters=parameters, form=form)
        sent = written(self._options, call, host=self._host, now_s=self._now_s(), nonce=self._entropy(16).hex())
        return read_answer(self._options.endpoint, self._exchange(sent))

    def create_sub_tasks(
        self,
        files: Sequence[FileToMove],
        *,
        file_system_id: str,
        data_flow_id: str,
        task_id: str,
        client_token: str | None = None,
        dry_run: bool | None = None,  # house: the API's own parameter
    ) -> list[Created]:
        """Move files on a stream, by the bulk door: at most one of `bulk_pages`. What became of each, in order.

        After ApiUnreachableError the same call with the same `client_token` (1 to 64 ASCII characters) is answered as the
        first was, and creates nothing twice. ApiRefusedError concerns all of the files, and none is accepted.
        """
        stream = StreamIds(file_system_id=file_system_id, data_flow_id=data_flow_id, task_id=task_id)
        call = bulk_call(files, stream=stream, client_token=client_token, dry_run=dry_run)
        answer = self.call(call.action, call.parameters, form=call.form)
        return bulk_results(answer, len(files))

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, sent: Written) -> Answered:
        self._drop_stale_connection()
        try:
            answered = self._asked(sent)
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise ApiUnreachableError(
                f"the certificate of {self._options.endpoint} is not trusted ({error.verify_message}); name its CA"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} does not answer: {reason(error)}") from error
        except BaseException:  # broken off in the middle: whoever calls next must not read this answer
            self._connection.close()
            raise
        if len(answered.body) > ANSWER_MAX_BYTES:
            self._connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} answered with more than {ANSWER_MAX_BYTES >> 20} MiB")
        return answered

    def _asked(self, sent: Written) -> Answered:
        self._connection.putrequest("POST", sent.target, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(sent.body or None)
        response = self._connection.getresponse()
        return Answered(
            status=response.status,
            body=response.read(ANSWER_MAX_BYTES + 1),
            retry_after_s=retry_after_s(response.getheader("x-acs-retry-after"), response.getheader("retry-after")),
        )

    def _drop_stale_connection(self) -> None:
        """A kept connection that can be read before anything was asked has been closed by the other side."""
        sock = self._connection.sock
        if sock is None:
            return
        watch = select.poll()
        watch.register(sock, select.POLLIN)
        if watch.poll(0):
            self._connection.close()


def tls_context(options: ClientOptions) -> ssl.SSLContext:
    """What verifies the endpoint. Raises ApiUnreachableError where the CA file cannot be read."""
    try:
        return ssl.create_default_context(cafile=options.ca_file or None)
    except OSError as error:
        raise ApiUnreachableError(f"the CA file {options.ca_file} cannot be used: {error}") from error


def connection_to(options: ClientOptions, address: Address) -> http.client.HTTPConnection:
    """A connection that is not open yet."""
    if not address.is_tls:
        return http.client.HTTPConnection(address.name, address.port, timeout=options.timeout_s)
    return http.client.HTTPSConnection(
        address.name, address.port, timeout=options.timeout_s, context=tls_context(options)
    )
