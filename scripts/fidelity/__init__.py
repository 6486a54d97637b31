"""The ledger of fidelity: `make fidelity` writes the tables of docs/fidelity.md from the code, the tests and the tables here.

`sdk.json` has the names of the vendor's SDK, `codes.toml` its documented refusals, `limits.toml` and `names.toml` where limits,
parameters and fields come from. The rules on the page are written by hand; which test shows each is found in the tests.
"""
