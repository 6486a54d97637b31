"""The S3 protocol, spoken by our own signed requests: Content-MD5 with every object and part, preconditions by If-None-Match."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

from penstock.stores.base import S3_LIMITS, Abilities
from penstock.stores.exchange import Exchange
from penstock.stores.httpstore import Dialect, HttpStore

S3_DIALECT = Dialect(
    prefix="x-amz-",
    limits=S3_LIMITS,
    create_only={"if-none-match": "*"},
    range_headers={},
    decode=unquote_plus,  # S3 encodes a space as `+` and a plus as `%2B`
    encodes_uploads=False,
)


class S3Store(HttpStore):
    """One S3 bucket."""

    def __init__(self, *, exchange: Exchange, abilities: Abilities, random_name: Callable[[], str]) -> None:
        super().__init__(dialect=S3_DIALECT, exchange=exchange, abilities=abilities, random_name=random_name)
