"""The kill matrix: a served Penstock is killed at every failpoint, started again, and judged."""
