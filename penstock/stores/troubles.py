"""What went wrong on a connection, in words for whoever has to mend it: each is a StoreUnavailableError.

Pure: errors in, errors out. `name` is the host and port that was spoken to.
"""

from __future__ import annotations

import ssl

from penstock.errors import StoreUnavailableError
from penstock.stores.body import EndedEarlyError
from penstock.stores.head import BrokenAnswerError
from penstock.stores.line import HaltedError
from penstock.stores.timeouts import SILENT_RETRY_S

WORDS_MAX = 200


def of_connecting(name: str, error: Exception, *, connect_s: float) -> StoreUnavailableError:
    """Why there is no connection; `connect_s` is for how long it was tried."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreUnavailableError(
            f"the certificate of {name} is not trusted ({error.verify_message}): "
            "name the file of its CA in the bucket's ca_file"
        )
    if isinstance(error, ssl.SSLError):
        return StoreUnavailableError(
            f"no TLS with {name} ({words(error)}): check the endpoint's scheme and port, and the bucket's ca_file"
        )
    if isinstance(error, TimeoutError):
        return StoreUnavailableError(f"no connection to {name} within {connect_s:g} s")
    return StoreUnavailableError(f"no connection to {name}: {words(error)}")


def in_body(name: str, error: BaseException, *, read_s: float) -> StoreUnavailableError | None:
    """Why a body broke off, which may be silent for `read_s`; None for what is not of the network."""
    if isinstance(error, TimeoutError):
        return StoreUnavailableError(f"{name} sent nothing of the body for {read_s:g} s", retry_after_s=SILENT_RETRY_S)
    if isinstance(error, HaltedError):
        return StoreUnavailableError(f"the rest of what {name} sends is not waited for")
    if isinstance(error, EndedEarlyError):
        return StoreUnavailableError(f"{name} ended the body early: {error}")
    if isinstance(error, OSError | BrokenAnswerError):
        return StoreUnavailableError(f"{name} broke off the body: {words(error)}")
    return None


def words(error: Exception) -> str:
    """What an error says, in one line, or its name."""
    return " ".join(str(error).split())[:WORDS_MAX] or type(error).__name__
