"""Does every refusal of the kernel and of a store become a code and a word on whether waiting helps?"""

from __future__ import annotations

import errno
import inspect
import os

import pytest

from penstock import errors
from penstock.errors import FailureCode, StoreError
from penstock.transfer.refusals import SLOW_RETRY_S, Side, from_os, from_store


@pytest.mark.parametrize(
    ("number", "side", "code", "waiting_helps"),
    [
        (errno.ENOSPC, Side.TARGET, FailureCode.NO_SPACE, True),
        (errno.EDQUOT, Side.TARGET, FailureCode.NO_SPACE, True),
        (errno.EROFS, Side.TARGET, FailureCode.READ_ONLY, True),
        (errno.EACCES, Side.SOURCE, FailureCode.PERMISSION_DENIED, False),
        (errno.EPERM, Side.TARGET, FailureCode.PERMISSION_DENIED, False),
        (errno.ENAMETOOLONG, Side.TARGET, FailureCode.NAME_TOO_LONG, False),
        (errno.ELOOP, Side.SOURCE, FailureCode.OUTSIDE_FILE_SYSTEM, False),
        (errno.EXDEV, Side.TARGET, FailureCode.OUTSIDE_FILE_SYSTEM, False),
        (errno.ENOTDIR, Side.TARGET, FailureCode.TARGET_NOT_DIRECTORY, False),
        (errno.ENOTDIR, Side.SOURCE, FailureCode.SOURCE_NOT_FOUND, False),
        (errno.ENOENT, Side.SOURCE, FailureCode.SOURCE_NOT_FOUND, False),
        (errno.ENOENT, Side.TARGET, FailureCode.FILE_SYSTEM_UNAVAILABLE, True),
        (errno.EISDIR, Side.TARGET, FailureCode.TARGET_IS_DIRECTORY, False),
        (errno.EISDIR, Side.SOURCE, FailureCode.SOURCE_IS_DIRECTORY, False),
        (errno.ENXIO, Side.SOURCE, FailureCode.SOURCE_NOT_REGULAR, False),
        (errno.ESTALE, Side.SOURCE, FailureCode.FILE_SYSTEM_UNAVAILABLE, True),
        (errno.EIO, Side.TARGET, FailureCode.IO_ERROR, True),
        (errno.EFBIG, Side.TARGET, FailureCode.FILE_TOO_LARGE, False),
        (errno.EMFILE, Side.TARGET, FailureCode.IO_ERROR, True),
        (errno.ENOMEM, Side.SOURCE, FailureCode.IO_ERROR, True),
    ],
)
def test_the_kernels_words(number: int, side: Side, code: FailureCode, waiting_helps: bool) -> None:
    made = from_os(OSError(number, os.strerror(number)), side=side, path="a/b")
    assert (made.code, made.waiting_helps) == (code, waiting_helps)
    assert str(made).startswith("/a/b: ")
    assert code.value not in str(made)


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, StoreError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_store_error_has_a_code(kind: type[StoreError]) -> None:
    made = from_store(kind("words", request_id="R1", retry_after_s=3.0))
    assert made.code in FailureCode
    assert "words" in str(made)
    assert str(made).count("R1") == 1
    if kind.waiting_helps:
        assert made.waiting_helps
    if kind is not errors.PermissionDeniedError:
        assert made.retry_after_s == 3.0


@pytest.mark.parametrize(
    ("error", "code", "waiting_helps"),
    [
        (errors.ObjectNotFoundError("x"), FailureCode.SOURCE_NOT_FOUND, False),
        (errors.BucketNotFoundError("x"), FailureCode.BUCKET_NOT_FOUND, False),
        (errors.StoreRefusedError("x"), FailureCode.STORE_REFUSED, False),
        (errors.StoreRefusedError("x", code="InvalidObjectState"), FailureCode.SOURCE_ARCHIVED, False),
        (errors.PermissionDeniedError("x", code="InvalidObjectState"), FailureCode.SOURCE_ARCHIVED, False),
        (errors.NotSupportedError("x"), FailureCode.NOT_SUPPORTED, False),
        (errors.ThrottledError("x"), FailureCode.STORE_THROTTLED, True),
        (errors.StoreUnavailableError("x"), FailureCode.STORE_UNAVAILABLE, True),
        (errors.IntegrityError("x"), FailureCode.CHECKSUM_MISMATCH, True),
        (errors.PreconditionFailedError("x"), FailureCode.SOURCE_CHANGED, True),
        (errors.PermissionDeniedError("x"), FailureCode.BUCKET_ACCESS_DENIED, True),
    ],
)
def test_the_stores_words(error: StoreError, code: FailureCode, waiting_helps: bool) -> None:
    made = from_store(error)
    assert (made.code, made.waiting_helps) == (code, waiting_helps)


def test_lacking_rights_are_retried_slowly() -> None:
    assert from_store(errors.PermissionDeniedError("x")).retry_after_s == SLOW_RETRY_S
