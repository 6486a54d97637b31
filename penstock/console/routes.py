"""Which page answers to which path: the routes of all pages."""

from __future__ import annotations

from starlette.routing import Route

from penstock.console.pages import dataflows, learn, login, new_dataflow, overview

PAGES: tuple[Route, ...] = (
    *login.ROUTES,
    *overview.ROUTES,
    *new_dataflow.ROUTES,
    *dataflows.ROUTES,
    *learn.ROUTES,
)
