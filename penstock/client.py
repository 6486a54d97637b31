"""A small client of the dataflow API: one call, signed (ACS3-HMAC-SHA256), over one kept connection.

Called by the command line and by programs that want no SDK. It follows no redirects, tries nothing twice, verifies
certificates, and knows neither HOME nor the environment: address and keys are arguments. One thread at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import select
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from penstock.errors import ApiRefusedError, ApiUnreachableError

API_VERSION = "2017-06-26"
ALGORITHM = "ACS3-HMAC-SHA256"
ANSWER_MAX_BYTES = 64 << 20
FORM_TYPE = "application/x-www-form-urlencoded"
BULK_FILES_MAX = 1000
BULK_FORM_MAX_BYTES = (4 << 20) - (64 << 10)
"""What one call of the bulk door takes: so many files, and a body of 4 MiB with room for the other parameters."""

Parameter = str | int | bool | Sequence["Parameter"] | Mapping[str, "Parameter"]
"""What a parameter may be: lists become `Name.1`, `Name.2`, mappings become `Name.Key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Where to call and as whom. `endpoint` is `http[s]://host[:port]`; `ca_file` verifies it (empty: the system's)."""

    endpoint: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    ca_file: str = ""
    timeout_s: float = 30.0


def flatten(parameters: Mapping[str, Parameter | None]) -> dict[str, str]:
    """Parameters as the wire has them; those that are None are left out."""
    flat: dict[str, str] = {}

    def put(name: str, value: Parameter) -> None:
        if isinstance(value, bool):
            flat[name] = "true" if value else "false"
        elif isinstance(value, str | int):
            flat[name] = str(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                put(f"{name}.{key}", inner)
        else:
            for number, inner in enumerate(value, start=1):
                put(f"{name}.{number}", inner)

    for name, value in parameters.items():
        if value is not None:
            put(name, value)
    return flat


def canonical_query(flat: Mapping[str, str]) -> str:
    """The query string, sorted and encoded as it is signed."""
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in sorted(flat.items()))


def form_body(flat: Mapping[str, str]) -> bytes:
    """Parameters, all ASCII, as a form. Only what has a meaning there is escaped: most of a long JSON text is left as it is."""
    return "&".join(f"{quote(name, safe='')}={_form_text(value)}" for name, value in flat.items()).encode("ascii")


def _form_text(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26").replace("+", "%2B").replace(" ", "%20")


def signed_headers(
    options: ClientOptions, *, host: str, action: str, query: str, body: bytes, now_s: float, nonce: str
) -> dict[str, str]:
    """All headers of a POST to `/`, but content-length; every one (lower-case names) is signed."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": API_VERSION,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s)),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "accept": "application/json",
    }
    if body:
        headers["content-type"] = FORM_TYPE
    headers["authorization"] = _authorization(options, query=query, headers=headers)
    return headers


def _authorization(options: ClientOptions, *, query: str, headers: Mapping[str, str]) -> str:
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    request = f"POST\n/\n{query}\n{lines}\n{signed}\n{headers['x-acs-content-sha256']}"
    text = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(options.access_key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={options.access_key_id},SignedHeaders={signed},Signature={signature}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToMove:
    """One file for the bulk door: paths beneath the task's directory and its target directory, and a condition."""

    source: str
    target: str
    modify_time_ns: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What became of one file at the bulk door: its sub-task's id ("" in a dry run), or the code and words of a refusal."""

    sub_task_id: str = ""
    code: str = ""
    message: str = ""


def bulk_entry(file: FileToMove) -> str:
    """One file as JSON text."""
    condition = {"ModifyTime": file.modify_time_ns, "Size": file.size_bytes}
    given = {name: str(value) for name, value in condition.items() if value is not None}
    paths = {"SrcFilePath": f"/{file.source.lstrip('/')}", "DstFilePath": f"/{file.target.lstrip('/')}"}
    return json.dumps({**paths, "Condition": given} if given else paths, separators=(",", ":"))


def bulk_pages(files: Iterable[FileToMove]) -> Iterator[list[FileToMove]]:
    """The files, in order, in pages that one call takes."""
    page: list[FileToMove] = []
    size_bytes = 0
    for file in files:
        entry_bytes = len(_form_text(bulk_entry(file))) + 1
        if page and (len(page) == BULK_FILES_MAX or size_bytes + entry_bytes > BULK_FORM_MAX_BYTES):
            yield page
            page, size_bytes = [], 0
        page.append(file)
        size_bytes += entry_bytes
    if page:
        yield page


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
        self._host, self._connection = _prepare(options)

    def call(
        self, action: str, parameters: Mapping[str, Parameter | None], *, form: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, Any]:
        """The answer to one call; what is too long for a URL goes into `form`, as ASCII text.

        Raises ApiRefusedError (the API's own word) and ApiUnreachableError (no answer: the outcome is unknown).
        """
        query = canonical_query(flatten(parameters))
        body = form_body(form)
        headers = signed_headers(
            self._options,
            host=self._host,
            action=action,
            query=query,
            body=body,
            now_s=self._now_s(),
            nonce=self._entropy(16).hex(),
        )
        status, answered = self._exchange(f"/?{query}" if query else "/", headers, body)
        answer = self._decode(status, answered)
        if status != 200:
            raise ApiRefusedError(
                str(answer.get("Message") or f"HTTP {status}"),
                code=str(answer.get("Code") or f"HTTP{status}"),
                status=status,
                request_id=str(answer.get("RequestId") or ""),
                hint=str(answer.get("Recommend") or ""),
            )
        return answer

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
        answer = self.call(
            "CreateDataFlowSubTasks",
            {
                "FileSystemId": file_system_id,
                "DataFlowId": data_flow_id,
                "DataFlowTaskId": task_id,
                "PathBase": "task",  # so a path has one meaning under every setting of the service
                "ClientToken": client_token,
                "DryRun": dry_run,
            },
            form={"SubTasks": f"[{','.join(map(bulk_entry, files))}]"},
        )
        found = answer.get("DataFlowSubTask", {}).get("DataFlowSubTask", [])
        if len(found) != len(files):
            raise ApiUnreachableError(f"{self._options.endpoint} answered {len(found)} results for {len(files)} files")
        return [
            Created(
                sub_task_id=str(result.get("DataFlowSubTaskId", "")),
                code=str(result.get("Code", "")),
                message=str(result.get("Message", "")),
            )
            for result in found
        ]

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, target: str, headers: Mapping[str, str], form: bytes) -> tuple[int, bytes]:
        self._drop_stale_connection()
        try:
            self._connection.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                self._connection.putheader(name, value)
            self._connection.putheader("content-length", str(len(form)))
            self._connection.endheaders(form or None)
            response = self._connection.getresponse()
            body = response.read(ANSWER_MAX_BYTES + 1)
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise ApiUnreachableError(
                f"the certificate of {self._options.endpoint} is not trusted ({error.verify_message}); name its CA"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} does not answer: {_reason(error)}") from error
        if len(body) > ANSWER_MAX_BYTES:
            self._connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} answered with more than {ANSWER_MAX_BYTES >> 20} MiB")
        return response.status, body

    def _drop_stale_connection(self) -> None:
        """A kept connection that can be read before anything was asked has been closed by the other side."""
        sock = self._connection.sock
        if sock is None:
            return
        watch = select.poll()
        watch.register(sock, select.POLLIN)
        if watch.poll(0):
            self._connection.close()

    def _decode(self, status: int, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ApiUnreachableError(
                f"{self._options.endpoint} answered {status} with something that is not JSON: is it Penstock's API?"
            ) from error
        if not isinstance(answer, dict):
            raise ApiUnreachableError(f"{self._options.endpoint} answered {status} with JSON that is no object")
        return answer


def _prepare(options: ClientOptions) -> tuple[str, http.client.HTTPConnection]:
    """The Host header and a connection that is not open yet."""
    try:
        url = urlsplit(options.endpoint)
        port = url.port
    except ValueError as error:
        raise ApiUnreachableError(f"{options.endpoint!r} is not http[s]://host[:port]") from error
    if url.scheme not in {"http", "https"} or not url.hostname or url.path.strip("/") or url.query:
        raise ApiUnreachableError(f"{options.endpoint!r} is not http[s]://host[:port]")
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    usual = {"http": 80, "https": 443}[url.scheme]
    host = name if port in {None, usual} else f"{name}:{port}"
    if url.scheme == "http":
        return host, http.client.HTTPConnection(url.hostname, port or usual, timeout=options.timeout_s)
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except OSError as error:
        raise ApiUnreachableError(f"the CA file {options.ca_file} cannot be used: {error}") from error
    return host, http.client.HTTPSConnection(url.hostname, port or usual, timeout=options.timeout_s, context=context)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
