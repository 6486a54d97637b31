"""Fills templates: what every page is given beside its own values, and how values become text.

Everything is escaped unless a template says otherwise, and none does. Reads templates once; knows no page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from penstock import __version__
from penstock.console import amounts, notes
from penstock.console.advice import remedy
from penstock.console.assets import Assets
from penstock.console.badges import badge
from penstock.console.guard import wants_json
from penstock.console.navigation import SECTIONS, STAND_IN
from penstock.console.viewer import Result, reach_of, visitor_of
from penstock.console.wording import happening_words, report_words

THEMES = ("auto", "light", "dark")
TIMES = ("local", "utc", "relative")

_BREAKS_AFTER = "/._-"
_LONG_PIECE = 24


class Renderer:
    """Makes pages of templates."""

    def __init__(self, templates: Path, assets: Assets) -> None:
        self._environment = environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters.update(
            binary=amounts.binary,
            whole=amounts.whole,
            exact_bytes=amounts.exact_bytes,
            duration=amounts.duration,
            utc=amounts.utc,
            utc_machine=amounts.utc_machine,
            ns_of=amounts.ns_of,
            wrapped=wrapped,
            segment=segment,
        )
        environment.globals.update(
            static=assets.url,
            badge=badge,
            version=__version__,
            remedy=remedy,
            happening_words=happening_words,
            report_words=report_words,
        )

    def part(self, template: str, context: dict[str, Any]) -> str:
        """A piece of a page, which is given its own values and nothing else."""
        return self._environment.get_template(template).render(**context)

    def page(self, request: Request, template: str, status: int, context: dict[str, Any]) -> Response:
        """The page."""
        text = self._environment.get_template(template).render(
            viewer=visitor_of(request),
            reach=reach_of(request),
            sections=(*SECTIONS, STAND_IN) if reach_of(request).is_stand_in else SECTIONS,
            now_ns=reach_of(request).now_ns(),
            here=request.url.path,
            query=request.query_params,
            note=notes.note(request.query_params.get("note", "")),
            theme=_chosen(request, "penstock_theme", THEMES),
            times=_chosen(request, "penstock_times", TIMES),
            **context,
        )
        return HTMLResponse(text, status)


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """The page of this template, with these values beside those that every page has."""
    renderer: Renderer = request.app.state.renderer
    return renderer.page(request, template, status, context)


def part(request: Request, template: str, **context: Any) -> str:
    """A piece of a page, as text: what a live page is sent when it has changed."""
    renderer: Renderer = request.app.state.renderer
    return renderer.part(template, {"now_ns": reach_of(request).now_ns(), **context})


def back_to(path: str, note: str = "") -> Response:
    """On to this page after something was done, which it says."""
    if note:
        assert note in notes.NOTES, "a note has words"
        path += ("&" if "?" in path else "?") + f"note={quote(note)}"
    return RedirectResponse(path, 303)


def refused(request: Request, result: Result) -> Response:
    """What a person sees of an act that was refused: what is the matter, and what to do now."""
    told = {
        "code": result.code,
        "message": result.message,
        "advice": result.advice or notes.advice(result.code, reach_of(request).home),
        "request_id": result.request_id,
    }
    if wants_json(request):
        return JSONResponse(told, result.status)
    return render(request, "error.html", status=result.status, refusal=told)


def told_wrong(request: Request, words: str) -> Response:
    """What was asked for makes no sense, in words that say what would."""
    told = {"code": "", "message": words, "advice": "Go back, and try again.", "request_id": ""}
    if wants_json(request):
        return JSONResponse(told | {"code": "Wrong"}, 422)
    return render(request, "error.html", status=422, refusal=told)


def not_found(request: Request, what: str = "page") -> Response:
    """There is nothing here: or nothing that this visitor may know of, which looks the same."""
    told = {
        "code": "",
        "message": f"There is no such {what}, or your access key has no right to see it.",
        "advice": "It may have been deleted since. The navigation leads to what there is.",
        "request_id": "",
    }
    if wants_json(request):
        return JSONResponse(told | {"code": "NotFound"}, 404)
    return render(request, "error.html", status=404, refusal=told)


def wrapped(text: str) -> Markup:
    """A path or other long text that may be broken where it has joints, and else only where nothing remains."""
    pieces: list[str] = []
    since = 0
    for letter in text:
        pieces.append(str(escape(letter)))
        since += 1
        if letter == "/" or (letter in _BREAKS_AFTER and since > _LONG_PIECE):
            pieces.append("<wbr>")
            since = 0
    return Markup("".join(pieces))  # noqa: S704 - each letter was escaped


def segment(text: str) -> str:
    """A text as one segment of an address."""
    return quote(text, safe="")


def _chosen(request: Request, cookie: str, words: tuple[str, ...]) -> str:
    value = request.cookies.get(cookie, "")
    return value if value in words else words[0]
