"""Archived objects: which classes must be restored before they are read, RestoreObject, and what answers tell of it.

A copy is ready after the service's `restore_s`, whatever the class: OSS takes minutes to days. Calls the ledger only.
"""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element as Node

from penstock.emulator.operations.intake import read_document
from penstock.emulator.operations.metadata import STORAGE_CLASS
from penstock.emulator.operations.selection import select_version, version_header
from penstock.emulator.protocol import documents
from penstock.emulator.protocol.answer import Answer, http_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument, malformed_xml
from penstock.emulator.protocol.numerals import whole_number
from penstock.emulator.service import Service
from penstock.emulator.storage import versions
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import Restored
from penstock.emulator.storage.versions import Version

DOCUMENT_MAX_BYTES = 64 * 1024
DAY_NS = 24 * 3600 * 10**9
# By class: the most days that a copy may stay, and the priorities that may be asked for; the last one is the default.
_CLASSES: dict[str, tuple[int, tuple[str, ...]]] = {
    "Archive": (7, ()),
    "ColdArchive": (365, ("Expedited", "Bulk", "Standard")),
    "DeepColdArchive": (365, ("Expedited", "Standard")),
}


def describe(version: Version, now_ns: int) -> str:
    """`x-oss-restore`, RestoreInfo: whether a copy is under way or there; empty for neither."""
    copy = version.traits.restored
    if copy is None or now_ns >= copy.expires_ns:
        return ""
    if now_ns < copy.ready_ns:
        return 'ongoing-request="true"'
    return f'ongoing-request="false", expiry-date="{http_time(copy.expires_ns)}"'


def require_readable(version: Version, now_ns: int) -> None:
    """Raises OssFault 403 InvalidObjectState for an archived version without a copy to read."""
    if version.headers.get(STORAGE_CLASS) not in _CLASSES:
        return
    copy = version.traits.restored
    if copy is None or not copy.ready_ns <= now_ns < copy.expires_ns:
        raise OssFault(403, "InvalidObjectState", "The object is archived; restore it before it is read.")


async def restore_object(service: Service, call: Call) -> Answer:
    """RestoreObject: 202 for a new copy, 409 while it is on its way, 200 to keep one that is there for longer."""
    body = await read_document(call, DOCUMENT_MAX_BYTES)
    root = documents.parse(body, "RestoreRequest") if body.strip() else None
    now_ns = service.clock()

    def commit(transaction: Transaction) -> Answer:
        bucket = service.require(call, transaction)
        version = select_version(transaction.database, bucket, call.key, call.query.get("versionId"))
        storage = version.headers.get(STORAGE_CLASS, "")
        if storage not in _CLASSES:
            raise OssFault(400, "OperationNotSupported", "Only archived objects are restored.")
        days, priority = _asked(root, storage)
        copy = version.traits.restored
        status, ready_ns = 202, now_ns + round(service.restore_s * 1e9)
        if copy is not None and now_ns < copy.expires_ns:
            if now_ns < copy.ready_ns:
                raise OssFault(409, "RestoreAlreadyInProgress", "The object is being restored.")
            status, ready_ns = 200, copy.ready_ns
        restored = Restored(ready_ns=ready_ns, expires_ns=max(ready_ns, now_ns) + days * DAY_NS)
        versions.change_traits(transaction, version, replace(version.traits, restored=restored))
        headers = version_header(bucket, version.version_id)
        if priority:
            headers["x-oss-object-restore-priority"] = priority
        return Answer(status=status, headers=headers)

    return await service.ledger.write(commit)


def _asked(root: Node | None, storage: str) -> tuple[int, str]:
    """Days and priority. Raises OssFault 400 InvalidArgument, MalformedXML."""
    days_max, priorities = _CLASSES[storage]
    text = (root.findtext("Days") or "1").strip() if root is not None else "1"
    days = whole_number(text)
    if days is None or not 1 <= days <= days_max:
        raise invalid_argument(f"Days are 1 to {days_max}.", name="Days", value=text)
    parameters = None if root is None else root.find("JobParameters")
    if parameters is None:
        return days, priorities[-1] if priorities else ""
    if not priorities:
        raise malformed_xml(f"Objects of class {storage} have no JobParameters.")
    tier = (parameters.findtext("Tier") or priorities[-1]).strip()
    if tier not in priorities:
        raise invalid_argument("There is no such priority.", name="Tier", value=tier)
    return days, tier
