"""Buckets: list, make, remove, and tell about them; versioning and tags. Calls the ledger only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from penstock.emulator.operations.acl import asked_bucket_acl
from penstock.emulator.operations.intake import read_document
from penstock.emulator.operations.metadata import storage_class
from penstock.emulator.operations.owner import owner
from penstock.emulator.protocol import documents, names
from penstock.emulator.protocol.answer import Answer, document, xml_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import OssFault, invalid_argument, malformed_xml
from penstock.emulator.service import Service
from penstock.emulator.storage import buckets
from penstock.emulator.storage.buckets import Bucket, Versioning
from penstock.emulator.storage.ledger import Transaction

DOCUMENT_MAX_BYTES = 64 * 1024
BUCKETS_DEFAULT = 100
BUCKETS_MAX = 1000
TAGS_MAX = 20
TAG_NAME_MAX_BYTES = 64
TAG_VALUE_MAX_BYTES = 128
# The order and the names of GetBucketStat.
_STAT_NAMES = {
    "Standard": "Standard",
    "IA": "InfrequentAccess",
    "Archive": "Archive",
    "ColdArchive": "ColdArchive",
    "DeepColdArchive": "DeepColdArchive",
}
T = TypeVar("T")


async def _read(service: Service, call: Call, look: Callable[[sqlite3.Connection, Bucket], T]) -> T:
    return await service.ledger.read(lambda database: look(database, service.require(call, database)))


async def _write(service: Service, call: Call, act: Callable[[sqlite3.Connection, Bucket], T]) -> T:
    return await service.ledger.write(lambda transaction: act(transaction.database, service.require(call, transaction)))


async def _free(service: Service, call: Call, act: Callable[[sqlite3.Connection, Bucket], None]) -> Answer:
    await service.ledger.free(lambda transaction: act(transaction.database, service.require(call, transaction)))
    return Answer(status=204)


async def list_buckets(service: Service, call: Call) -> Answer:
    """ListBuckets: there is one owner, so all of them."""
    prefix, marker = call.parameter("prefix"), call.parameter("marker")
    wanted = buckets.Wanted(
        prefix=prefix, marker=marker, tag_name=call.query.get("tag-key"), tag_value=call.query.get("tag-value")
    )
    limit = call.number("max-keys", default=BUCKETS_DEFAULT, least=1, most=BUCKETS_MAX)
    found = await service.ledger.read(lambda database: buckets.page(database, wanted, limit=limit + 1))
    page, truncated = found[:limit], len(found) > limit
    paging: list[Element] = []
    if call.query.keys() & {"prefix", "marker", "max-keys"} or truncated:
        paging = [
            Element("Prefix", prefix),
            Element("Marker", marker),
            Element("MaxKeys", limit),
            Element("IsTruncated", "true" if truncated else "false"),
        ]
        if truncated:
            paging.append(Element("NextMarker", page[-1].name))
    entries = [Element("Bucket", _summary(service, call, bucket)) for bucket in page]
    return document(Element("ListAllMyBucketsResult", [*paging, owner(), Element("Buckets", entries)]))


def _summary(service: Service, call: Call, bucket: Bucket) -> list[Element]:
    endpoint = call.host.removeprefix(f"{call.bucket}.") if call.bucket else call.host
    return [
        Element("Name", bucket.name),
        Element("CreationDate", xml_time(bucket.created_ns)),
        Element("Location", service.location),
        Element("Region", service.region),
        Element("ExtranetEndpoint", endpoint),
        Element("IntranetEndpoint", endpoint),
        Element("StorageClass", bucket.storage),
    ]


async def put_bucket(service: Service, call: Call) -> Answer:
    """PutBucket; of one that is there: with another ACL."""
    names.check_bucket_name(call.bucket)
    acl = asked_bucket_acl(call)
    body = await read_document(call, DOCUMENT_MAX_BYTES)
    storage, redundancy = "Standard", "LRS"
    if body.strip():
        root = documents.parse(body, "CreateBucketConfiguration")
        storage = storage_class((root.findtext("StorageClass") or "").strip())
        redundancy = (root.findtext("DataRedundancyType") or redundancy).strip()
        if redundancy not in {"LRS", "ZRS"}:
            raise invalid_argument("LRS or ZRS.", name="DataRedundancyType", value=redundancy)
    now_ns = service.clock()

    def commit(transaction: Transaction) -> None:
        database = transaction.database
        buckets.create(database, name=call.bucket, created_ns=now_ns, storage=storage, redundancy=redundancy)
        if acl is not None:
            buckets.set_acl(database, service.require(call, transaction), acl)

    await service.ledger.write(commit)
    return Answer(headers={"Location": f"/{call.bucket}"})


async def delete_bucket(service: Service, call: Call) -> Answer:
    """DeleteBucket, of an empty one."""
    return await _free(service, call, buckets.remove)


async def get_bucket_info(service: Service, call: Call) -> Answer:
    """GetBucketInfo."""
    bucket = await _read(service, call, lambda _, found: found)
    told = [
        *_summary(service, call, bucket),
        Element("DataRedundancyType", bucket.redundancy),
        Element("AccessMonitor", "Disabled"),
        Element("TransferAcceleration", "Disabled"),
        Element("CrossRegionReplication", "Disabled"),
        Element("BlockPublicAccess", "false"),
        owner(),
        Element("AccessControlList", [Element("Grant", bucket.acl)]),
        Element("Comment"),
        Element("ServerSideEncryptionRule", [Element("SSEAlgorithm", "None")]),
        Element("BucketPolicy", [Element("LogBucket"), Element("LogPrefix")]),
    ]
    if bucket.versioning is not Versioning.UNSET:
        told.append(Element("Versioning", bucket.versioning.value))
    return document(Element("BucketInfo", [Element("Bucket", told)]))


async def get_bucket_location(service: Service, call: Call) -> Answer:
    """GetBucketLocation."""
    await _read(service, call, lambda _, found: found)
    return document(Element("LocationConstraint", service.location))


async def get_bucket_acl(service: Service, call: Call) -> Answer:
    """GetBucketAcl."""
    bucket = await _read(service, call, lambda _, found: found)
    grant = Element("AccessControlList", [Element("Grant", bucket.acl)])
    return document(Element("AccessControlPolicy", [owner(), grant]))


async def put_bucket_acl(service: Service, call: Call) -> Answer:
    """PutBucketAcl: what strangers may do; without one it stays."""
    acl = asked_bucket_acl(call)
    if acl is None:
        await _read(service, call, lambda _, found: found)
    else:
        await _write(service, call, lambda database, bucket: buckets.set_acl(database, bucket, acl))
    return Answer()


async def list_live_channels(service: Service, call: Call) -> Answer:
    """ListLiveChannel: none, because none can be made here. Clients that clean a bucket up ask for them."""
    await _read(service, call, lambda _, found: found)
    root = Element(
        "ListLiveChannelResult",
        [
            Element("Prefix", call.parameter("prefix")),
            Element("Marker", call.parameter("marker")),
            Element("MaxKeys", call.number("max-keys", default=BUCKETS_DEFAULT, least=1, most=BUCKETS_MAX)),
            Element("IsTruncated", "false"),
        ],
    )
    return document(root)


async def get_bucket_stat(service: Service, call: Call) -> Answer:
    """GetBucketStat: counted now, not hourly."""
    usage = await _read(service, call, buckets.usage)
    objects = sum(count for count, _ in usage.classes.values())
    size_bytes = sum(size for _, size in usage.classes.values())
    by_class: list[Element] = []
    for storage, name in _STAT_NAMES.items():
        count, size = usage.classes.get(storage, (0, 0))
        by_class.append(Element(f"{name}Storage", size))
        if storage != "Standard":
            by_class.append(Element(f"{name}RealStorage", size))
        by_class.append(Element(f"{name}ObjectCount", count))
    root = Element(
        "BucketStat",
        [
            Element("Storage", size_bytes),
            Element("ObjectCount", objects),
            Element("MultipartUploadCount", usage.uploads),
            Element("LiveChannelCount", 0),
            Element("LastModifiedTime", service.clock() // 10**9),
            *by_class,
            Element("MultipartPartCount", usage.parts),
            Element("DeleteMarkerCount", usage.delete_markers),
        ],
    )
    return document(root)


# ----------------------------------------------------------------------------------------------------------- versioning


async def get_bucket_versioning(service: Service, call: Call) -> Answer:
    """GetBucketVersioning: without Status if it was never set."""
    bucket = await _read(service, call, lambda _, found: found)
    status = [] if bucket.versioning is Versioning.UNSET else [Element("Status", bucket.versioning.value)]
    return document(Element("VersioningConfiguration", status))


async def put_bucket_versioning(service: Service, call: Call) -> Answer:
    """PutBucketVersioning: Enabled or Suspended."""
    root = documents.parse(await read_document(call, DOCUMENT_MAX_BYTES), "VersioningConfiguration")
    status = documents.text_of(root, "Status").strip()
    if status not in {Versioning.ENABLED, Versioning.SUSPENDED}:
        raise malformed_xml("Status is Enabled or Suspended.")
    await _write(service, call, lambda database, bucket: buckets.set_versioning(database, bucket, Versioning(status)))
    return Answer()


# ----------------------------------------------------------------------------------------------------------------- tags


async def get_bucket_tags(service: Service, call: Call) -> Answer:
    """GetBucketTags: an empty set if there are none."""
    found = await _read(service, call, buckets.tags)
    tags = [Element("Tag", [Element("Key", name), Element("Value", value)]) for name, value in found]
    return document(Element("Tagging", [Element("TagSet", tags)]))


async def put_bucket_tags(service: Service, call: Call) -> Answer:
    """PutBucketTags: all at once."""
    root = documents.parse(await read_document(call, DOCUMENT_MAX_BYTES), "Tagging")
    tag_set = root.find("TagSet")
    if tag_set is None:
        raise malformed_xml("Tagging lacks TagSet.")
    tags: dict[str, str] = {}
    for node in documents.children(tag_set, "Tag"):
        name, value = documents.text_of(node, "Key"), node.findtext("Value") or ""
        _check_tag(name, value)
        if name in tags:
            raise invalid_argument("A tag is named twice.", name="Key", value=name)
        tags[name] = value
    if not tags:
        raise malformed_xml("TagSet holds no Tag.")
    if len(tags) > TAGS_MAX:
        raise OssFault(400, "InvalidTag", f"A bucket has at most {TAGS_MAX} tags.")
    await _write(service, call, lambda database, bucket: buckets.replace_tags(database, bucket, tags))
    return Answer()


def _check_tag(name: str, value: str) -> None:
    if not 1 <= len(name.encode()) <= TAG_NAME_MAX_BYTES or name.lower().startswith(
        ("http://", "https://", "aliyun", "acs:")
    ):
        raise OssFault(400, "InvalidTag", "The tag's key is not valid.", elements={"Key": name[:256]})
    if len(value.encode()) > TAG_VALUE_MAX_BYTES:
        raise OssFault(400, "InvalidTag", "The tag's value is too long.", elements={"Key": name[:256]})


async def delete_bucket_tags(service: Service, call: Call) -> Answer:
    """DeleteBucketTags: all of them, or those that `tagging=a,b` names."""
    some = {name for name in call.parameter("tagging").split(",") if name}

    def act(database: sqlite3.Connection, bucket: Bucket) -> None:
        kept = {name: value for name, value in buckets.tags(database, bucket) if some and name not in some}
        buckets.replace_tags(database, bucket, kept)

    return await _free(service, call, act)
