"""Arguments and options that several commands have in common."""

from __future__ import annotations

from pathlib import Path

import click

HOME = click.argument("home", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
LIMIT = click.option("--limit", type=click.IntRange(20, 100), default=50, show_default=True, help="How many at once.")
NEXT_TOKEN = click.option("--next-token", default="", help="Go on where an earlier list ended.")
STATUS = click.option("--status", help="Only these, separated by commas.")
