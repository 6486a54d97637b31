"""Which page answers to which path: the routes of all pages, in the order in which they are tried.

Imports every page and calls none; `application` hands the table to the framework. Whom a page lets in, and what it may show them,
is the guard's business and the page's own.
"""

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
"""A word that stands where another page has an id (`/tasks/batch`, `/files/new`) belongs to a page before that one."""
