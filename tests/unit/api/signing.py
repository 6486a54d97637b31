"""Signed requests as the vendor's own SDKs make them: their signing functions, around parameters of a test's choice."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from urllib.parse import urlencode

from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest

from penstock.api.options import ApiOptions
from penstock.api.protocol import Request, parse_headers, parse_request

KEY_ID, SECRET = "LTAI-test", "s3cret/with+signs="
NOW_NS = 1_729_700_896_000_000_000
OPTIONS = ApiOptions()


def stamp(time_ns: int = NOW_NS) -> str:
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def v3_headers(query: dict[str, str], body: bytes = b"", *, secret: str = SECRET, **changes: str) -> dict[str, str]:
    """The headers of a request signed by the current SDK's function; `changes` replace headers before signing."""
    request = DaraRequest()
    request.method, request.pathname, request.query = "POST", "/", query
    digest = hashlib.sha256(body).hexdigest()
    request.headers = {
        "host": "nas.example",
        "x-acs-version": "2017-06-26",
        "x-acs-action": "DescribeDataFlows",
        "user-agent": "AlibabaCloud (linux) Python/3.11",
        "x-acs-date": stamp(),
        "x-acs-signature-nonce": "n-1",
        "accept": "application/json",
        "x-acs-content-sha256": digest,
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    authorization = Utils.get_authorization(request, "ACS3-HMAC-SHA256", digest, KEY_ID, secret)
    return request.headers | {"Authorization": authorization}


def v1_parameters(parameters: dict[str, str], *, secret: str = SECRET, **changes: str) -> dict[str, str]:
    """All parameters of a request signed by the legacy function; `changes` replace parameters before signing."""
    signed = {
        "Action": "DescribeDataFlows",
        "Version": "2017-06-26",
        "Format": "json",
        "AccessKeyId": KEY_ID,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": "n-1",
        "SignatureType": "",
        "Timestamp": stamp(),
        **parameters,
        **changes,
    }
    return signed | {"Signature": Utils.get_rpcsignature(signed, "POST", secret)}


def arriving(headers: dict[str, str], query: dict[str, str], body: bytes = b"", method: str = "POST") -> Request:
    """The request as the server reads it from the wire."""
    raw = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in headers.items()]
    return parse_request(
        method=method,
        path="/",
        query_string=urlencode(query).encode("ascii"),
        headers=parse_headers(raw, OPTIONS),
        body=body,
        options=OPTIONS,
    )
