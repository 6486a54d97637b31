"""What surrounds every call that changes something: its nonce, its ClientToken, the dry run.

Nonce and token live in the change's own transaction. A nonce is used up by a call that is refused, too; a token is
kept only with a result. Calls the verb it is given; knows no noun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock.catalog.database import Value
from penstock.catalog.rows import digest
from penstock.catalog.session import Session
from penstock.catalog.verbs import Call, CallMode
from penstock.catalog.writer import Refused
from penstock.errors import CatalogError, CatalogUnavailableError, NonceUsedError, TokenMismatchError

USED_BEFORE = "this signature nonce was used before"


def guarded(
    session: Session, call: Call, verb: Callable[[], str], *, rehearsed: Callable[[str], str] = lambda _: ""
) -> str | Refused:
    """Run `verb` as `call` asks and answer its result: the id of what it made, or an empty text.

    A dry run answers what `rehearsed` makes of the result that the call would have.
    Refusals come back as Refused so that the nonce is kept; NonceUsedError is raised, since nothing is to be kept then.
    """
    if call.nonce:
        use_nonces(session, [call.nonce])
    try:
        with session.all_or_nothing("guarded"):
            return _remembered(session, call, verb) if call.client_token else _rehearsed(call, verb)
    except _RehearsalOverError as over:
        return rehearsed(over.result)
    except CatalogUnavailableError:
        raise
    except CatalogError as refusal:
        return Refused(error=refusal)


class _RehearsalOverError(Exception):
    """A dry run has passed all checks: leave, undoing what it did."""

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


def _rehearsed(call: Call, verb: Callable[[], str]) -> str:
    result = verb()
    if call.mode is CallMode.DRY_RUN:
        raise _RehearsalOverError(result)
    return result


def _remembered(session: Session, call: Call, verb: Callable[[], str]) -> str:
    """The result of the first call with this token, or that of `verb`, to be remembered.

    The token is claimed first, so that two writers with one token would wait for each other.
    """
    if not claim_tokens(session, [(call, "")]):
        result = remembered(session, call) or ""
        if call.mode is CallMode.DRY_RUN:
            raise _RehearsalOverError(result)
        return result
    result = _rehearsed(call, verb)
    if result:
        session.run(
            "calls.answer_token", access_key_id=call.access_key_id, client_token=call.client_token, result=result
        )
    return result


def remembered(session: Session, call: Call) -> str | None:
    """The result that a call's token stands for; None when it is new. TokenMismatchError."""
    known = session.row("calls.token", access_key_id=call.access_key_id, client_token=call.client_token)
    if known is None:
        return None
    if known["fingerprint"] != _fingerprint(call):
        raise TokenMismatchError("this ClientToken was used before with other parameters; use a new one")
    return str(known["result"])


def _fingerprint(call: Call) -> str:
    return f"{call.action}:{call.fingerprint}"


def claim_tokens(session: Session, calls: Sequence[tuple[Call, str]]) -> bool:
    """Remember the tokens of `calls` with their results. False when any is known already; then undo the whole."""
    rows: list[dict[str, Value]] = [
        {
            "number": session.next_number(),
            "access_key_id": call.access_key_id,
            "client_token": call.client_token,
            "fingerprint": _fingerprint(call),
            "result": result,
        }
        for call, result in calls
    ]
    return session.add("calls.claim_token", rows) == len(rows)


def use_nonces(session: Session, nonces: Sequence[str]) -> None:
    """Use up these nonces. NonceUsedError when any was used before, or twice here; then undo the whole.

    Nonces of reads and of writes are kept apart, but a nonce of either kind is used for both. Two calls at the same
    moment, one of each kind, do not see each other here: the Catalog lets only one of them come so far.
    """
    digests = [digest(nonce) for nonce in nonces]
    if session.other_nonces is not None and session.other_nonces(lambda other: _know(other, digests)):
        raise NonceUsedError(USED_BEFORE)
    filled, older = ("odd", "even") if session.rows("calls.nonce_turn")[0]["odd"] else ("even", "odd")
    if session.rows_in(f"calls.seen_{older}", digests) or session.add_tuples(
        f"calls.add_{filled}", [(number,) for number in digests]
    ) < len(digests):
        raise NonceUsedError(USED_BEFORE)


def _know(session: Session, digests: Sequence[Value]) -> bool:
    return bool(session.rows_in("calls.seen", digests))


def forget_nonces(session: Session, before_ns: int) -> None:
    """Empty the older table of nonces and fill it from now on, if the other one has been filled since before `before_ns`.

    Every nonce is so kept at least as long as asked, and at most twice as long.
    """
    turn = session.rows("calls.nonce_turn")[0]
    if turn["since_ns"] > before_ns:
        return
    session.run("calls.clear_even" if turn["odd"] else "calls.clear_odd")
    session.run("calls.turn_nonces", now_ns=session.now_ns)
