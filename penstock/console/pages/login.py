"""Logging in with an access key, and out.

Asks `sessions` whether id and secret belong together, and `attempts` whether this address may try again; sets the session's
cookie and takes it away. Leads to no other place than this console, keeps no secret, and logs none.
"""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from penstock import telemetry
from penstock.console.attempts import Attempts
from penstock.console.guard import LOGIN, cookie_name, form_of
from penstock.console.rendering import render
from penstock.console.sessions import SESSION_S, Sessions
from penstock.console.viewer import reach_of, viewer_of, visitor_of

_FIELD_MAX_CHARS = 256
_WRONG = "This access key id and secret do not belong together, or the key was revoked."


async def show(request: Request) -> Response:
    """The form; 303 to where the visitor wanted to go where they are logged in already."""
    there = _local(request.query_params.get("next", ""))
    if visitor_of(request) is not None:
        return RedirectResponse(there, 303)
    return _form(request, there)


async def enter(request: Request) -> Response:
    """One attempt: 303 to where the visitor wanted to go, 403 for a wrong key, 429 where too many failed.

    The two texts are bounded before they are compared, and the answer to a wrong one is the same whichever of them it was.
    """
    form = form_of(request)
    there = _local(form.get("next", ""))
    sessions: Sessions = request.scope["penstock.sessions"]
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    now_s = asyncio.get_running_loop().time()
    wait_s = attempts.wait_s(address, now_s)
    if wait_s:
        return _form(request, there, f"Too many attempts failed. Try again in {wait_s} seconds.", status=429)
    key_id, secret = form.get("access_key_id", "").strip(), form.get("access_key_secret", "").strip()
    fits = len(key_id) <= _FIELD_MAX_CHARS and len(secret) <= _FIELD_MAX_CHARS
    key = sessions.proves(key_id, secret) if fits else None
    if key is None:
        attempts.failed(address, now_s)
        telemetry.event("console.login_refused", level=telemetry.Level.WARNING, peer=address)
        return _form(request, there, _WRONG, key_id=key_id[:_FIELD_MAX_CHARS], status=403)
    attempts.succeeded(address)
    telemetry.event("console.login", access_key_id=key.access_key_id, peer=address)
    answer = RedirectResponse(there, 303)
    _set_cookie(request, answer, sessions.begin(key), age_s=SESSION_S)
    return answer


async def leave(request: Request) -> Response:
    """End the session, also for whoever kept its cookie, until the service ends; 303 to the form."""
    sessions: Sessions = request.scope["penstock.sessions"]
    sessions.end(viewer_of(request).session)
    answer = RedirectResponse(f"{LOGIN}?note=out", 303)
    _set_cookie(request, answer, "", age_s=0)
    return answer


def _form(request: Request, there: str, error: str = "", *, key_id: str = "", status: int = 200) -> Response:
    """The form, with what was wrong (`error`, in words) and the id that was typed; never with a secret."""
    return render(
        request, "login.html", status=status, next=there, error=error, key_id=key_id, home=reach_of(request).home
    )


def _local(path: str) -> str:
    """Where to go next; never to another place than this console."""
    lost = not path.startswith("/") or path.startswith(("//", "/\\", LOGIN)) or not path.isprintable() or "\\" in path
    return "/" if lost else path


def _set_cookie(request: Request, answer: Response, value: str, *, age_s: int) -> None:
    """The cookie lasts `age_s` seconds; with 0 the browser forgets it. Secure where the connection is."""
    cookie: SimpleCookie = SimpleCookie()
    name = cookie_name(request)
    cookie[name] = value
    cookie[name].update({"path": "/", "max-age": str(age_s), "samesite": "Strict"})
    cookie[name]["httponly"] = True
    if request.url.scheme == "https":
        cookie[name]["secure"] = True
    answer.raw_headers.append((b"set-cookie", cookie[name].OutputString().encode("latin-1")))


ROUTES = (
    Route(LOGIN, show, methods=["GET"]),
    Route(LOGIN, enter, methods=["POST"]),
    Route("/logout", leave, methods=["POST"]),
)
