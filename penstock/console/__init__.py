"""The window: pages that show what the service does and let a person act on it, for whoever has an access key.

`guard` stands before every page (who visits, from where, with which right), `pages` has one module a page, `rendering` fills
templates, `assets` serves what they look like. Acts through `Reach.perform` with the rights of the visitor's key, as the API
would; never changes the catalog itself, knows neither the API's room nor the settings': what it needs of those is handed in.
"""
