"""Who looks at a page, and what the rights of their key let them see and do.

Pages ask it before they show a button; the API asks again when the button is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from penstock.console.reach import Reach
from penstock.console.sessions import Session, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of an act. `code` is empty on success."""

    status: int
    code: str
    message: str
    advice: str
    request_id: str
    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return not self.code


class RefusedError(Exception):
    """What a page wanted to read was refused."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.message)
        self.result = result


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """One visitor."""

    session: Session
    sessions: Sessions
    reach: Reach

    @property
    def name(self) -> str:
        """What the page calls them: their key's id."""
        return self.session.key.access_key_id

    @property
    def csrf(self) -> str:
        """What forms bring back."""
        return self.session.csrf

    def may(self, action: str, file_system_id: str = "") -> bool:
        """Whether their key has the right to this action, on this file system if one is named."""
        return self.reach.may(self.session.key, action, file_system_id)

    def may_any(self, *actions: str) -> bool:
        """Whether there is one of these that they may do."""
        return any(self.may(action) for action in actions)

    def sees(self, file_system_id: str) -> bool:
        """Whether this file system is in the scope of their key."""
        return self.reach.sees(self.session.key, file_system_id)

    def is_valid(self) -> bool:
        """Whether their session still lasts, and their key: what streams ask again and again."""
        return self.sessions.lasts(self.session)

    async def read(self, action: str, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer's fields, of an action that changes nothing. Raises RefusedError, which becomes a page that says so."""
        result = await self.perform(action, parameters)
        if not result.ok:
            raise RefusedError(result)
        return result.body

    async def perform(self, action: str, parameters: Mapping[str, str]) -> Result:
        """The action, with all the checks that a call over the wire meets."""
        answered = await self.reach.perform(self.session.key, action, parameters)
        body = answered.body
        return Result(
            status=answered.status,
            code=answered.code,
            message=str(body.get("Message", "")) if answered.code else "",
            advice="",
            request_id=answered.request_id,
            body=body,
        )


def viewer_of(request: Request) -> Viewer:
    """The visitor of this request, whom the guard has let in."""
    viewer = request.scope["penstock.viewer"]
    assert isinstance(viewer, Viewer), "the guard lets nobody else in"
    return viewer


def visitor_of(request: Request) -> Viewer | None:
    """The visitor, or None where nobody has logged in: for the few pages that are there for all."""
    viewer = request.scope.get("penstock.viewer")
    return viewer if isinstance(viewer, Viewer) else None


def reach_of(request: Request) -> Reach:
    """What the console was handed."""
    reach = request.scope["penstock.reach"]
    assert isinstance(reach, Reach)
    return reach
