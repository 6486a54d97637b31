"""The list of files, whole, as comma-separated values: read page by page and sent as it is read, however long it is."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from penstock.catalog.views import Browse, Sheet
from penstock.console import filters, spreadsheet
from penstock.console.filters import browse_of
from penstock.console.reach import Reach
from penstock.console.rendering import told_wrong
from penstock.console.scope import READ_FILES, file_systems_of
from penstock.console.viewer import reach_of, viewer_of
from penstock.errors import CatalogError

PORTION = 500


async def download(request: Request) -> Response:
    """The list with the filters of the page from which it is asked for."""
    viewer, reach = viewer_of(request), reach_of(request)
    asked = filters.read(request.query_params.multi_items(), now_ns=reach.now_ns())
    if asked.wrong:
        return told_wrong(request, "; ".join(f"{name}: {words}" for name, words in asked.wrong.items()))
    query = browse_of(asked.filters, file_systems_of(viewer, READ_FILES))
    first = await reach.seeing.browse(query, cursor="", limit=PORTION)
    headers = {"Content-Disposition": 'attachment; filename="penstock-files.csv"'}
    return StreamingResponse(_lines(reach, query, first), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(reach: Reach, query: Browse, sheet: Sheet) -> AsyncIterator[bytes]:
    """A list that cannot be read to its end breaks off, so that nobody takes it for whole. Raises CatalogError."""
    yield spreadsheet.head()
    while True:
        yield spreadsheet.lines(spreadsheet.line(each.sub_task, each.direction.value) for each in sheet.items)
        if not sheet.older:
            return
        if reach.ending.is_set():
            raise CatalogError("the service ends, and the list is not whole")
        sheet = await reach.seeing.browse(query, cursor=sheet.older, limit=PORTION)


ROUTES = (Route("/files.csv", download, methods=["GET"]),)
