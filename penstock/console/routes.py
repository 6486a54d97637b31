"""Which page answers to which path: the routes of all pages."""

from __future__ import annotations

from starlette.routing import Route

from penstock.console.pages import (
    dataflows,
    file,
    file_acts,
    files,
    learn,
    login,
    new_batch,
    new_dataflow,
    new_files,
    overview,
    requests,
    sheet,
    stand_in,
    tasks,
)

PAGES: tuple[Route, ...] = (
    *login.ROUTES,
    *overview.ROUTES,
    *new_dataflow.ROUTES,
    *dataflows.ROUTES,
    *requests.ROUTES,
    *learn.ROUTES,
    *stand_in.ROUTES,
    *new_batch.ROUTES,  # before the pages of single tasks, whose ids stand where its words do
    *tasks.ROUTES,
    *new_files.ROUTES,
    *file_acts.ROUTES,
    *files.ROUTES,
    *sheet.ROUTES,
    *file.ROUTES,  # behind the fixed words that stand where a file's id does
)
