"""One module a page: its routes and what it shows. Each asks the `Viewer` what it may show, and acts through it."""
