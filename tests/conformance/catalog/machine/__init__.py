"""A state machine that drives a real catalog and a model of it side by side.

`ledger_model` and `work_model` say what ought to happen; `stand` holds both sides and compares them; `callers`, `engine`, `looks`
and `fate` are the rules; `machine` is all of them.
"""
