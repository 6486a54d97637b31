"""Which error an answer means: one table, by the store's code first, by the status where it is silent."""

from __future__ import annotations

import pytest

from penstock import errors
from penstock.stores.refusals import Asked, refusal
from tests.fixtures.scriptedserver import error_body

TABLE = [
    (404, "NoSuchKey", errors.ObjectNotFoundError),
    (404, "NoSuchVersion", errors.ObjectNotFoundError),
    (404, "NoSuchBucket", errors.BucketNotFoundError),
    (404, "NoSuchUpload", errors.UploadNotFoundError),
    (404, "NoSuchTagSet", errors.StoreRefusedError),
    (404, "", errors.StoreUnavailableError),
    (412, "PreconditionFailed", errors.PreconditionFailedError),
    (412, "", errors.PreconditionFailedError),
    (409, "FileAlreadyExists", errors.PreconditionFailedError),
    (409, "ConditionalRequestConflict", errors.StoreUnavailableError),
    (409, "OperationAborted", errors.StoreUnavailableError),
    (409, "SomethingElse", errors.StoreRefusedError),
    (416, "InvalidRange", errors.RangeNotSatisfiableError),
    (416, "", errors.RangeNotSatisfiableError),
    (400, "BadDigest", errors.IntegrityError),
    (400, "InvalidDigest", errors.IntegrityError),
    (400, "IncompleteBody", errors.StoreUnavailableError),
    (400, "RequestTimeout", errors.StoreUnavailableError),
    (400, "EntityTooSmall", errors.StoreRefusedError),
    (400, "InvalidPart", errors.IntegrityError),
    (400, "ExpiredToken", errors.PermissionDeniedError),
    (400, "", errors.StoreRefusedError),
    (401, "", errors.PermissionDeniedError),
    (403, "AccessDenied", errors.PermissionDeniedError),
    (403, "InvalidAccessKeyId", errors.PermissionDeniedError),
    (403, "SignatureDoesNotMatch", errors.PermissionDeniedError),
    (403, "RequestTimeTooSkewed", errors.PermissionDeniedError),
    (403, "SecurityTokenExpired", errors.PermissionDeniedError),
    (403, "InvalidObjectState", errors.StoreRefusedError),
    (403, "SecondLevelDomainForbidden", errors.StoreRefusedError),
    (403, "QuotaExceeded", errors.StoreFullError),
    (403, "InsufficientStorageSpace", errors.StoreFullError),
    (400, "XMinioAdminBucketQuotaExceeded", errors.StoreFullError),
    (507, "XMinioStorageFull", errors.StoreFullError),
    (507, "", errors.StoreFullError),
    (403, "", errors.PermissionDeniedError),
    (405, "MethodNotAllowed", errors.NotSupportedError),
    (408, "", errors.StoreUnavailableError),
    (429, "", errors.ThrottledError),
    (500, "InternalError", errors.StoreUnavailableError),
    (500, "", errors.StoreUnavailableError),
    (501, "NotImplemented", errors.NotSupportedError),
    (501, "", errors.NotSupportedError),
    (502, "", errors.StoreUnavailableError),
    (503, "SlowDown", errors.ThrottledError),
    (503, "ServiceUnavailable", errors.ThrottledError),
    (503, "QpsLimitExceeded", errors.ThrottledError),
    (503, "DownloadTrafficRateLimitExceeded", errors.ThrottledError),
    (503, "", errors.StoreUnavailableError),
    (301, "PermanentRedirect", errors.StoreRefusedError),
    (307, "TemporaryRedirect", errors.StoreUnavailableError),
    (200, "InternalError", errors.StoreUnavailableError),
    (200, "NeverHeardOf", errors.StoreUnavailableError),
]


@pytest.mark.parametrize(("status", "code", "kind"), TABLE)
def test_an_answer_means_one_error(status: int, code: str, kind: type[errors.StoreError]) -> None:
    asked = Asked(method="GET", bucket="bucket", key="key")
    body = error_body(code, "Said so.", RequestId="R1") if code else b""
    error = refusal(asked, status, {"x-oss-request-id": "R1"}, body)
    assert type(error) is kind
    assert (error.bucket, error.key, error.status, error.code, error.request_id) == (
        "bucket",
        "key",
        status,
        code,
        "R1",
    )
    assert "R1" in str(error)
    assert str(status) in str(error)
    assert error.waiting_helps is (kind in WAITING_HELPS)


WAITING_HELPS = {errors.StoreUnavailableError, errors.StoreFullError, errors.ThrottledError, errors.IntegrityError}


@pytest.mark.parametrize("prefix", ["x-oss-", "x-amz-"])
@pytest.mark.parametrize("status", [404, 405])
def test_a_delete_marker_is_an_object_not_found(prefix: str, status: int) -> None:
    asked = Asked(method="HEAD", bucket="bucket", key="key")
    error = refusal(asked, status, {f"{prefix}delete-marker": "true"}, error_body("MethodNotAllowed"))
    assert type(error) is errors.ObjectNotFoundError


def test_the_silence_of_head_is_about_the_object_only_when_one_was_asked() -> None:
    about_key = refusal(Asked(method="HEAD", bucket="bucket", key="key"), 404, {}, b"")
    about_bucket = refusal(Asked(method="HEAD", bucket="bucket", key=""), 404, {}, b"")
    assert type(about_key) is errors.ObjectNotFoundError
    assert type(about_bucket) is errors.StoreUnavailableError


def test_a_redirect_names_the_endpoint_that_the_store_names() -> None:
    body = error_body("PermanentRedirect", Endpoint="bucket.s3.eu-west-1.amazonaws.com")
    error = refusal(Asked(method="GET", bucket="bucket", key=""), 301, {}, body)
    assert "bucket.s3.eu-west-1.amazonaws.com" in str(error)
    assert "endpoint and region" in str(error)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "InvalidArgument", "Invalid signing region in Authorization header."),
        (400, "InvalidArgument", "The signing region in credential is invalid."),
        (400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
    ],
)
def test_another_region_than_the_buckets_is_said_with_the_option_that_mends_it(
    status: int, code: str, message: str
) -> None:
    text = str(refusal(Asked(method="GET", bucket="bucket", key=""), status, {}, error_body(code, message)))
    assert "--region" in text


def test_other_arguments_that_are_invalid_are_not_about_the_region() -> None:
    error = refusal(Asked(method="GET", bucket="bucket", key=""), 400, {}, error_body("InvalidArgument", "Bad date."))
    assert "region" not in str(error)


def test_what_the_store_says_is_cut_to_one_short_line() -> None:
    body = error_body("AccessDenied", "word \n\x07 " * 1000)
    text = str(refusal(Asked(method="GET", bucket="bucket", key="key"), 403, {}, body))
    assert len(text) < 600
    assert text.isprintable()


def test_a_strange_key_cannot_break_the_line() -> None:
    text = str(refusal(Asked(method="GET", bucket="bucket", key="a\nb\x1b[31m"), 500, {}, b""))
    assert text.isprintable()
