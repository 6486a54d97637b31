"""Penstock for tests of your programs: a whole service, with a bucket and a file system, that feels the faults you arm.

    with penstock.testing.running() as service:
        service.fail_next(path="*.pt")
        my_program(endpoint=service.endpoint, key=service.access_key_id, secret=service.access_key_secret)

With pytest nothing has to be imported: `def test_mine(penstock): ...` gets a `Service` that has forgotten all that was before.
docs/stand-in.md has all of it. It is never for real data.
"""

from __future__ import annotations

from penstock.testing.process import StandInError, running
from penstock.testing.service import Clock, Fault, Service

__all__ = ["Clock", "Fault", "Service", "StandInError", "running"]
