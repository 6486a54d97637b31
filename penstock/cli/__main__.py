"""`python -m penstock.cli` is the `penstock` command."""

from penstock.cli.program import main

main()
