"""The command line: what a person types, and what scripts rely on.

`program` is the tree of commands, each group has a module of its own, `failure` decides how a failed command ends. Commands
either work on HOME through `penstock.app` and `penstock.settings`, or on a running service through its API.
"""

from penstock.cli.program import main

__all__ = ["main"]
