"""Does whatever changes something have a failpoint right before it, and one right behind it?"""

from __future__ import annotations

from tests.faults.matrix.sites import changes

WRAPPERS = "its callers are looked at"
REQUESTS = "request.send, request.sent and request.answered stand around every request, in penstock.stores.exchange"
SET_UP = "when a bucket or a file system is added, by hand: no file is on its way"
RENAMES = "rename and renamed stand around it, in penstock.transfer.landing:land"
WRITES = "partial.write and partial.written stand around it, in penstock.transfer.part_file:DirectPart._write"
IN_BETWEEN = "of the partial file, between partial.written and partial.sync, or partial.created and journal.create"
LINKS = (
    "where nothing is renamed without replacing (NFS); tests/faults/transfer/test_kill.py dies before each such call"
)
STRANGERS = "of a file that is somebody's; tests/faults/ends/test_renamed_files.py dies before and behind it"

AT_START = "one transaction, before anything is served; who starts next begins it anew, or finds it done"

COPIES = "a copy that nobody serves yet; tests/e2e/cli/test_backup.py dies before each step that makes or restores one"

ELSEWHERE = {
    "penstock.catalog.copying:_sync": COPIES,
    "penstock.catalog.schema_versions:migrate": AT_START,
    "penstock.catalog.sqlite:SqliteConnection._rewrite_log": "after a failed fsync only; tests/faults/power fails one",
    "penstock.engine.reporter:Reporter._put": "a copy, written again as it was; tests/e2e/test_batches.py dies around it",
    "penstock.engine.allowances:Allowances.make": "memory of the service's own processes, which ends with them",
    "penstock.engine.board:Board.make": "memory of the service's own processes, which ends with them",
    "penstock.stores.probing:_begin_nothing": SET_UP,
    "penstock.stores.probing:_clean": SET_UP,
    "penstock.stores.probing:_complete": SET_UP,
    "penstock.stores.probing:_initiate.<locals>.begin": SET_UP,
    "penstock.stores.probing:_put": SET_UP,
    "penstock.stores.probing:_put_part": SET_UP,
    "penstock.stores.probing:_takes": SET_UP,
    "penstock.stores.probing:_try_multipart": SET_UP,
    "penstock.transfer.landing:_replace": RENAMES,
    "penstock.transfer.landing:_replace_if_wanted": RENAMES,
    "penstock.transfer.large_import:_LargeImport._open": IN_BETWEEN,
    "penstock.transfer.mark:make_mark": SET_UP,
    "penstock.transfer.part_file:DirectPart._past_the_cache": WRITES,
    "penstock.transfer.part_file:DirectPart._through_the_cache": WRITES,
    "penstock.transfer.partial:PartialFile.dress": IN_BETWEEN,
    "penstock.transfer.posix:give": WRAPPERS,
    "penstock.transfer.posix:open_own": "permissions of a helper file of ours, given for as long as it is opened",
    "penstock.transfer.posix:unlink_if_there": WRAPPERS,
    "penstock.transfer.posix:write_all": WRAPPERS,
    "penstock.transfer.publish:_already_ours": LINKS,
    "penstock.transfer.publish:_publish_by_link": LINKS,
    "penstock.transfer.publish:publish_new": RENAMES,
    "penstock.transfer.publish:publish_over": RENAMES,
    "penstock.transfer.probing:_remove": SET_UP,
    "penstock.transfer.probing:probe_root": SET_UP,
    "penstock.transfer.small_export:_SmallExport._put_and_wait": REQUESTS,
    "penstock.transfer.stamps:_ask": "the times of the root's mark, which nobody reads",
    "penstock.transfer.strangers:move_aside": STRANGERS,
    "penstock.transfer.small_export:_SmallExport._sent": REQUESTS,
}
"""What changes something and has no failpoints of its own, and why that is well."""


def test_whatever_changes_something_stands_between_two_failpoints() -> None:
    unguarded = {change.place for change in changes() if not (change.before and change.behind)}
    assert unguarded - set(ELSEWHERE) == set(), "say failpoints.passing before and behind, or why not"
    assert set(ELSEWHERE) - unguarded == set(), "not there any more"


def test_changes_are_found() -> None:
    """The list is no proof if nothing is looked for."""
    guarded = {change.place for change in changes() if change.before and change.behind}
    assert {
        "penstock.catalog.writer:Writer._commit",
        "penstock.transfer.journal:Journal._write",
        "penstock.transfer.root:Root._make_level",
        "penstock.transfer.uploads:_initiate",
        "penstock.transfer.versioned:remove.<locals>.delete",
    } <= guarded
