"""DeleteObject and DeleteMultipleObjects: remove, or hide behind a delete marker. Calls the ledger only."""

from __future__ import annotations

from xml.etree.ElementTree import Element as Node

from penstock.emulator.operations.encoding import Encoding
from penstock.emulator.operations.intake import read_document
from penstock.emulator.operations.selection import check_version_id
from penstock.emulator.protocol import documents, names
from penstock.emulator.protocol.answer import Answer, document
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import malformed_xml
from penstock.emulator.service import Service
from penstock.emulator.storage import versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.versions import Deletion

DELETE_MAX_KEYS = 1000
DELETE_MAX_BYTES = 4 * 1024 * 1024


async def delete_object(service: Service, call: Call) -> Answer:
    """DeleteObject, of the newest version or of the one that versionId names."""
    version_id = call.query.get("versionId")
    if version_id is not None:
        check_version_id(version_id)
    now_ns, token = service.clock(), service.new_token()

    def commit(transaction: Transaction) -> Deletion:
        bucket = service.require(call, transaction)
        return _delete(transaction, bucket, call.key, version_id, token=token, now_ns=now_ns)

    done = await service.ledger.free(commit)
    headers = {}
    if done.version_id:
        headers["x-oss-version-id"] = done.version_id
    if done.marker:
        headers["x-oss-delete-marker"] = "true"
    return Answer(status=204, headers=headers)


def _delete(
    transaction: Transaction, bucket: Bucket, key: bytes, version_id: str | None, *, token: str, now_ns: int
) -> Deletion:
    if version_id is None:
        return versions.delete(transaction, bucket, key, token=token, modified_ns=now_ns)
    return versions.delete_version(transaction, bucket, key, version_id)


async def delete_objects(service: Service, call: Call) -> Answer:
    """DeleteMultipleObjects: one commit for all of them."""
    root = documents.parse(await read_document(call, DELETE_MAX_BYTES), "Delete")
    quiet = (root.findtext("Quiet") or "false").strip().lower() == "true"
    encoding = Encoding.of(call.parameter("encoding-type") or root.findtext("EncodingType") or "")
    wanted = [_wanted(node) for node in root.findall("Object")]
    if not 1 <= len(wanted) <= DELETE_MAX_KEYS:
        raise malformed_xml(f"A Delete names 1 to {DELETE_MAX_KEYS} objects.")
    now_ns, tokens = service.clock(), [service.new_token() for _ in wanted]

    def commit(transaction: Transaction) -> list[Deletion]:
        bucket = service.require(call, transaction)
        return [
            _delete(transaction, bucket, key, version_id, token=token, now_ns=now_ns)
            for (key, version_id), token in zip(wanted, tokens, strict=True)
        ]

    done = await service.ledger.free(commit)
    if quiet:
        return Answer()
    entries = [
        _deleted(encoding, key, version_id, deletion) for (key, version_id), deletion in zip(wanted, done, strict=True)
    ]
    return document(Element("DeleteResult", [*encoding.note(), *entries]))


def _wanted(node: Node) -> tuple[bytes, str | None]:
    key = documents.text_of(node, "Key").encode("utf-8", "surrogatepass")
    names.check_object_key(key)
    version_id = node.findtext("VersionId") or None
    if version_id is not None:
        check_version_id(version_id)
    return key, version_id


def _deleted(encoding: Encoding, key: bytes, version_id: str | None, deletion: Deletion) -> Element:
    return Element(
        "Deleted",
        [
            Element("Key", encoding.text(key)),
            Element("VersionId", version_id) if version_id is not None else None,
            Element("DeleteMarker", "true") if deletion.marker else None,
            Element("DeleteMarkerVersionId", deletion.version_id) if deletion.marker else None,
        ],
    )
