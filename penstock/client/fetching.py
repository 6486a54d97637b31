"""A report of a batch, read by the link that DescribeDataFlowTasks answers: at the service that was called, piece by piece.

A link is a secret, good for a day; it needs no key. Of it only what is asked for counts: the address is the caller's own, so an
answer cannot make a program call another one.
"""

from __future__ import annotations

import csv
import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import urlsplit

from penstock.client.answers import reason
from penstock.client.signing import ClientOptions, address_of
from penstock.client.wire import connection_to
from penstock.errors import ApiRefusedError, ApiUnreachableError

PIECE_BYTES = 256 << 10
_COMPLAINT_MAX_BYTES = 4096


def report_pieces(options: ClientOptions, link: str) -> Iterator[bytes]:
    """The bytes of a report (CSV). Raises ApiRefusedError for a link that opens nothing, ApiUnreachableError."""
    address = address_of(options.endpoint)
    try:
        with closing(connection_to(options, address)) as connection:
            connection.request("GET", f"/?{urlsplit(link).query}", headers={"host": address.host})
            response = connection.getresponse()
            if response.status != http.client.OK:
                words = response.read(_COMPLAINT_MAX_BYTES).decode("utf-8", "replace")
                raise ApiRefusedError(f"the report cannot be read: {words}", code="Report", status=response.status)
            while piece := response.read(PIECE_BYTES):
                yield piece
            if response.length:  # what is still to come, as far as its head told
                raise ApiUnreachableError(f"{options.endpoint} has broken a report off")
    except (OSError, http.client.HTTPException) as error:
        raise ApiUnreachableError(f"{options.endpoint} does not answer: {reason(error)}") from error


def report_lines(options: ClientOptions, link: str) -> Iterator[Mapping[str, str]]:
    """The lines of a report, by the names of its columns. Raises what `report_pieces` does."""
    yield from csv.DictReader(_lines(report_pieces(options, link)))


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Whole lines; those within quotation marks have ends of lines of their own, which csv puts together again."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (f"{line.decode('utf-8', 'replace')}\n" for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")
