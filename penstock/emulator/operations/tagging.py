"""Tags of objects: how a header and a document name them, and the three operations on them. Calls the ledger only."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from penstock.emulator.operations.intake import read_document
from penstock.emulator.operations.selection import select_version, version_header
from penstock.emulator.protocol import documents
from penstock.emulator.protocol.answer import Answer, document
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import OssFault, invalid_argument, malformed_xml
from penstock.emulator.service import Service
from penstock.emulator.storage import versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.versions import Version

DOCUMENT_MAX_BYTES = 64 * 1024
TAGS_MAX = 10
NAME_MAX, VALUE_MAX = 128, 256
_TEXT = re.compile(r"[\w +\-=.:/]*\Z")
TAGGING = "x-oss-tagging"


def from_header(call: Call) -> dict[str, str]:
    """The tags of `x-oss-tagging: k=v&k2=v2`, percent-encoded. Raises OssFault 400 InvalidTag, InvalidArgument."""
    pairs = []
    for pair in filter(None, call.header(TAGGING).split("&")):
        name, _, value = pair.partition("=")
        pairs.append((_decoded(name), _decoded(value)))
    return checked(pairs)


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise invalid_argument("Tags are UTF-8, percent-encoded.", name=TAGGING, value="") from None


def checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The tags, if an object can have them. Raises OssFault 400 InvalidTag."""
    tags: dict[str, str] = {}
    for name, value in pairs:
        if not 1 <= len(name) <= NAME_MAX or not _TEXT.match(name):
            raise OssFault(400, "InvalidTag", "The tag's key is not valid.", elements={"Key": name[:NAME_MAX]})
        if len(value) > VALUE_MAX or not _TEXT.match(value):
            raise OssFault(400, "InvalidTag", "The tag's value is not valid.", elements={"Key": name})
        if name in tags:
            raise OssFault(400, "InvalidTag", "A tag is named twice.", elements={"Key": name})
        tags[name] = value
    if len(tags) > TAGS_MAX:
        raise OssFault(400, "InvalidTag", f"An object has at most {TAGS_MAX} tags.")
    return tags


def count_header(tags: Mapping[str, str]) -> dict[str, str]:
    """What a GET and a HEAD tell of the tags."""
    return {"x-oss-tagging-count": str(len(tags))} if tags else {}


async def get_object_tags(service: Service, call: Call) -> Answer:
    """GetObjectTagging: an empty set if there are none."""

    def look(database: sqlite3.Connection) -> tuple[Bucket, Version]:
        bucket = service.require(call, database)
        return bucket, select_version(database, bucket, call.key, call.query.get("versionId"))

    bucket, version = await service.ledger.read(look)
    tags = [
        Element("Tag", [Element("Key", name), Element("Value", value)]) for name, value in version.traits.tags.items()
    ]
    root = Element("Tagging", [Element("TagSet", tags)])
    return document(root, headers=version_header(bucket, version.version_id))


async def put_object_tags(service: Service, call: Call) -> Answer:
    """PutObjectTagging: all at once; no new version."""
    root = documents.parse(await read_document(call, DOCUMENT_MAX_BYTES), "Tagging")
    tag_set = root.find("TagSet")
    if tag_set is None:
        raise malformed_xml("Tagging lacks TagSet.")
    nodes = documents.children(tag_set, "Tag")
    tags = checked((documents.text_of(node, "Key"), node.findtext("Value") or "") for node in nodes)
    return Answer(headers=await _change(service, call, tags))


async def delete_object_tags(service: Service, call: Call) -> Answer:
    """DeleteObjectTagging: all of them."""
    return Answer(status=204, headers=await _change(service, call, {}))


async def _change(service: Service, call: Call, tags: Mapping[str, str]) -> dict[str, str]:
    def commit(transaction: Transaction) -> dict[str, str]:
        bucket = service.require(call, transaction)
        version = select_version(transaction.database, bucket, call.key, call.query.get("versionId"))
        versions.change_traits(transaction, version, replace(version.traits, tags=tags))
        return version_header(bucket, version.version_id)

    return await service.ledger.write(commit)
