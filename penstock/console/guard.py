"""Who stands at the door of every page: which host is asked for, where a form comes from, who visits, what browsers are told.

An ASGI application around the console's own. Lets nothing by that has no session, but for the login page and what pages look
like; reads a form's body whole before anybody acts on it. Knows no page but the login.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import traceback
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock import telemetry
from penstock.console.reach import Reach
from penstock.console.sessions import Sessions
from penstock.console.viewer import Viewer

LOGIN = "/login"
STATIC = "/static/"
BODY_MAX_BYTES = 1 << 20
BODY_TIME_S = 15.0
FIELDS_MAX = 2000
FORM_TYPE = "application/x-www-form-urlencoded"
METHODS = frozenset({"GET", "HEAD", "POST"})
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain"})
_FRAMES_LOGGED = 4

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would have browsers keep the origin of a form from us
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Refused(Exception):  # noqa: N818 - an answer, no fault
    """Why a request goes no further."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class Guard:
    """Lets through whom it knows."""

    def __init__(self, inner: ASGIApp, *, reach: Reach, sessions: Sessions) -> None:
        self._inner = inner
        self._reach = reach
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        begun = False

        async def sealed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            answer = await self._let_in(scope, receive)
            await answer(scope, receive, sealed)
        except Refused as refused:
            await _plainly(Request(scope), refused.status, refused.words)(scope, receive, sealed)
        except Exception as error:
            frames = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES_LOGGED:])
            telemetry.failure("console.failed", error, path=scope["path"][:200], frames=frames)
            if begun:
                raise
            words = "Something went wrong here. The service's log tells more."
            await _plainly(Request(scope), 500, words)(scope, receive, sealed)

    async def _let_in(self, scope: Scope, receive: Receive) -> ASGIApp:
        """What answers this request. Raises Refused."""
        request = Request(scope, receive)
        self._check_host(request)
        if request.method not in METHODS:
            raise Refused(405, "This method is not known here.")
        scope["penstock.reach"] = self._reach
        scope["penstock.sessions"] = self._sessions
        if scope["path"].startswith(STATIC):
            return self._inner
        session = self._sessions.of(request.cookies.get(cookie_name(request), ""))
        if session is not None:
            scope["penstock.viewer"] = Viewer(session=session, sessions=self._sessions, reach=self._reach)
        if request.method == "POST":
            _check_origin(request)
            scope["penstock.form"] = form = await _read_form(request)
            token = request.headers.get("x-csrf-token") or form.get("csrf", "")
            if (
                session is not None
                and scope["path"] != LOGIN
                and not hmac.compare_digest(token.encode("utf-8", "replace"), session.csrf.encode())
            ):
                raise Refused(403, "This form is of another session. Go back, reload the page, and send it again.")
        if session is None and scope["path"] != LOGIN:
            return _to_login(request)
        return self._inner

    def _check_host(self, request: Request) -> None:
        """A page of somebody else, whose name leads to our address, must not be taken for ours. Raises Refused."""
        host = _host_of(request.headers)
        if host in LOOPBACK_NAMES or host in self._reach.host_names or _is_address(host):
            return
        raise Refused(
            421,
            f"The console does not answer to the name {host[:100]!r}. Visit it by its address, or add the name to "
            "console_names in penstock.toml and start the service again.",
        )


def cookie_name(request: Request) -> str:
    """Under which name the session's cookie goes; over TLS browsers hold it to this very host."""
    sessions: Sessions = request.scope["penstock.sessions"]
    return ("__Host-" if request.url.scheme == "https" else "") + sessions.cookie_name


def form_of(request: Request) -> Mapping[str, str]:
    """The fields of the form that was sent; the guard has checked that it is this visitor's."""
    form: Mapping[str, str] = request.scope.get("penstock.form", {})
    return form


def wants_json(request: Request) -> bool:
    """Whether a script asks, and not somebody who would see the answer as a page."""
    return "application/json" in request.headers.get("accept", "")


def _host_of(headers: Headers) -> str:
    try:
        return (urlsplit(f"//{headers.get('host', '')}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _check_origin(request: Request) -> None:
    """Browsers tell which page sends a form. Raises Refused for a page that is not ours."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site not in (None, "same-origin") or origin not in (None, ours) or (site is None and origin is None):
        raise Refused(403, "This form was sent by a page that is not of this console.")


async def _read_form(request: Request) -> dict[str, str]:
    """Raises Refused."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_MAX_BYTES:
                    raise Refused(413, "The form is too large.")
    except TimeoutError as error:
        raise Refused(408, "The form did not arrive in time.") from error
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise Refused(415, f"Forms come as {FORM_TYPE}.")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise Refused(400, "The form cannot be read.") from error
    return dict(pairs)


def _to_login(request: Request) -> Response:
    if wants_json(request) or "text/event-stream" in request.headers.get("accept", ""):
        return JSONResponse({"code": "SessionEnded", "message": "Log in again: the session has ended."}, 401)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    there = LOGIN if path == "/" or request.method == "POST" else f"{LOGIN}?next={quote(path, safe='')}"
    return RedirectResponse(there, 303)


def _plainly(request: Request, status: int, words: str) -> Response:
    """An answer that needs no template: it may be that nothing else works."""
    if wants_json(request):
        return JSONResponse({"code": "Refused", "message": words}, status)
    return Response(words + "\n", status, media_type="text/plain; charset=utf-8")
