"""Which tests of the suite judge the emulator, and the reason for each one that does not. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

VERSION = "2.19.1"

MODULES = (
    "test_object",
    "test_put_object_chunked",
    "test_headers",
    "test_exception_ec",
    "test_crc64_combine",
    "test_multipart",
    "test_upload",
    "test_download",
    "test_iterator",
    "test_list_objects_v2",
    "test_object_versioning",
    "test_bucket_versioning",
    "test_sign",
    "test_chinese",
)
"""Every test in these counts: objects, append, copy, symlinks, tags, multipart, listings, versions, signing, names."""

TESTS: Mapping[str, tuple[str, ...]] = {
    "test_bucket": ("test_bucket_tagging", "test_bucket_tagging_with_specify_label", "test_list_bucket_with_tagging")
}
"""Of these modules the tests on tags count; the others are run and told of."""

_SETTING = "a setting of buckets that the emulator does not have"
_SERVICE = "a service of its own beside object storage"
OUTSIDE: Mapping[str, str] = {
    "test_access_point": _SERVICE,
    "test_api_base": "how the SDK builds host names, partly over TLS",
    "test_async_fetch_task": _SERVICE,
    "test_bucket": "settings of buckets; its tests on tags are in scope",
    "test_bucket_access_monitor": _SETTING,
    "test_bucket_archive_direct_read": _SETTING,
    "test_bucket_callback_policy": _SETTING,
    "test_bucket_cname": _SETTING,
    "test_bucket_data_redundancy_transition": _SETTING,
    "test_bucket_describe_regions": _SERVICE,
    "test_bucket_https_config": _SETTING,
    "test_bucket_inventory": _SETTING,
    "test_bucket_meta_query": _SERVICE,
    "test_bucket_replication": _SETTING,
    "test_bucket_resource_group": _SETTING,
    "test_bucket_style": "image processing",
    "test_bucket_transfer_acceleration": _SETTING,
    "test_bucket_worm": _SETTING,
    "test_credentials_provider": "how the SDK asks a credentials server",
    "test_crypto": "encryption inside the SDK",
    "test_crypto_multipart": "encryption inside the SDK",
    "test_crypto_object": "encryption inside the SDK",
    "test_image": "image processing",
    "test_init": "the SDK's own start",
    "test_lifecycle_versioning": "lifecycle rules, which the emulator keeps and does not judge",
    "test_live_channel": "live streaming (RTMP)",
    "test_mock_bucket": "speaks to no server: recorded answers",
    "test_mock_multipart": "speaks to no server: recorded answers",
    "test_mock_object": "speaks to no server: recorded answers",
    "test_object_request_payment": "needs a second account that pays",
    "test_object_request_payment_versions": "needs a second account that pays",
    "test_proxy": "needs a proxy and its password",
    "test_public_access_block": _SETTING,
    "test_qos_and_resource_pool": _SETTING,
    "test_qos_info": _SETTING,
    "test_request_payment": _SETTING,
    "test_select_csv_object": "SelectObject: SQL over objects",
    "test_select_json_object": "SelectObject: SQL over objects",
    "test_server_side_encryotion": "needs the live key service (KMS)",
    "test_sts": "needs the live token service (STS) and a RAM role",
    "test_traffic_limit": "measures the service's traffic limits",
    "test_utils": "functions inside the SDK",
    "test_website": _SETTING,
    "test_write_get_object_response": _SERVICE,
}
"""Modules that do not count, and why."""

_IMAGES = "processes an image: a service of its own (IMM)"
REASONS: Mapping[str, str] = {
    "test_iterator.TestIterator.test_live_channel_iterator": "makes live channels (RTMP), which are no objects",
    "test_object.TestObject.test_async_process_object": _IMAGES,
    "test_object.TestObject.test_process_object": _IMAGES,
}
"""Tests in scope that need not pass, and why. They count as not passed."""

SPEED = ("test_object.TestObject.test_default_timeout", "test_object.TestObject.test_timeout")
"""They expect that no connection is made within a millisecond. On one machine it is, or not: they say nothing of the emulator."""

PAYMENT = ("test_object_request_payment", "test_object_request_payment_versions")
"""Modules on objects that cannot be run with one account."""
