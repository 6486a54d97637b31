"""What a server cannot do at all, so that a test of it would say nothing: by server, reason and test.

Only for servers that are judged in the compatibility run; a reason is one that a user of that server has to live with.
"""

from __future__ import annotations

from collections.abc import Mapping

KEYS = "test_every_key_comes_back_as_it_was_put"
CONTROL = "test_keys_with_control_characters_survive"
GAPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "rclone": {
        "a file system is behind it: a name is not a file's and a directory's at once, does not end in `/`, has no `//`, and no"
        " part of it is longer than 255 bytes": (
            "test_keys_come_in_byte_order",
            "test_pages_neither_lose_nor_repeat",
            "test_a_prefix_narrows",
            "test_a_delimiter_gathers_what_lies_below",
            "test_start_after_begins_behind_a_key",
            "test_a_key_and_keys_below_it_live_side_by_side",
            f"{KEYS}['d/']",
            f"{KEYS}['p//q']",
            f"{KEYS}['kkkkkkkkkkkk",
            f"{KEYS}['" + "\\\\u4e2d" * 4,
        ),
        "a key with `.` or `..` between slashes is refused": ("test_dots_between_slashes_are_names_like_any_other",),
        "a control character comes back as another": (f"{CONTROL}['esc",),
        "a range is answered with 200, which says that it is none": (
            "test_a_range_is_answered_exactly",
            "test_a_range_past_the_end_is_clipped",
            "test_a_range_still_tells_the_crc64_and_metadata_of_the_whole_object",
            "test_a_range_of_a_replaced_object_is_refused_by_its_etag",
            "test_eight_threads_share_one_store",
        ),
        "parts are taken from the first to the last, each once": (
            "test_parts_in_any_order_become_the_object",
            "test_part_numbers_may_have_gaps",
            "test_a_repeated_part_replaces_the_earlier_one",
            "test_a_subset_of_the_parts_may_be_published",
            "test_complete_refuses_parts_that_are_not_there_or_are_others",
            "test_complete_refuses_parts_that_are_too_small",
        ),
        "it knows no preconditions": (
            "test_create_only_refuses_an_existing_object",
            "test_complete_create_only_refuses_an_existing_object",
            "test_if_match_reads_the_named_object_only",
        ),
        "it knows no versions": (
            "test_versioning_is_told[Enabled]",
            "test_versioning_is_told[Suspended]",
            "test_probing_finds_what_the_bucket_can_do_and_leaves_nothing",
            "test_create_only_on_a_bucket_with_versions",
            "test_every_write_is_a_version",
            "test_versions_are_listed_by_key_newest_first",
            "test_a_delete_marker_hides_the_object",
            "test_a_delete_marker_itself_is_not_found_either",
            "test_removing_a_marker_brings_the_object_back",
            "test_deleting_a_version_removes_exactly_that_one",
            "test_a_suspended_bucket_keeps_old_versions_and_writes_null_ones",
            "test_list_versions_without_versioning_tells_the_objects",
            "test_list_versions_goes_on_over_pages",
        ),
        "it knows no tags, and answers with a listing": (
            "test_bucket_tags_are_told",
            "test_an_unknown_bucket_is_said_to_be_unknown",
        ),
        "refusals bear no request id": ("test_wrong_credentials_are_refused_and_stay_secret",),
    },
    "swift": {
        "it has no bucket tags, and says so to anybody, of any bucket": (
            "test_bucket_tags_are_told",
            "test_an_unknown_bucket_is_said_to_be_unknown",
            "test_wrong_credentials_are_refused_and_stay_secret",
        ),
        "a conditional PUT is answered 501": (
            "test_create_only_puts_where_nothing_is",
            "test_create_only_refuses_an_existing_object",
            "test_create_only_puts_again_after_a_delete",
            "test_create_only_on_a_bucket_with_versions",
        ),
        "an upload to a key with a control character is answered 500": (f"{CONTROL}['bell", f"{CONTROL}['esc"),
        "an upload can still be asked for once it is completed": ("test_a_completed_upload_is_gone",),
        "Complete tells no version": ("test_every_write_is_a_version",),
        "one version cannot be removed: the request is never answered": (
            "test_removing_a_marker_brings_the_object_back",
            "test_deleting_a_version_removes_exactly_that_one",
            "test_probing_finds_what_the_bucket_can_do_and_leaves_nothing[Enabled]",
        ),
        "versions are listed on one page, and the rest is left out": ("test_list_versions_goes_on_over_pages",),
    },
}
"""Server → reason → tests, by name or by its beginning up to the parameters."""


def out_of_scope(shore: str, test: str) -> str:
    """Why this test (as pytest calls it) says nothing of that server; empty where it does."""
    plain = test.replace(f"[{shore}-", "[").removesuffix(f"[{shore}]")
    for reason, gaps in GAPS.get(shore, {}).items():
        if any(plain.startswith(gap) if "[" in gap else plain.partition("[")[0] == gap for gap in gaps):
            return reason
    return ""
