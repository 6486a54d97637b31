"""A bucket's lifecycle rules: kept and told, never carried out. Calls the ledger only."""

from __future__ import annotations

from penstock.emulator.operations.intake import read_document
from penstock.emulator.protocol import documents
from penstock.emulator.protocol.answer import Answer
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, malformed_xml
from penstock.emulator.service import Service
from penstock.emulator.storage import buckets
from penstock.emulator.storage.ledger import Transaction

DOCUMENT_MAX_BYTES = 1024 * 1024
RULES_MAX = 1000
_NAME = "lifecycle"


async def put_lifecycle(service: Service, call: Call) -> Answer:
    """PutBucketLifecycle: the document, if it is one of rules."""
    body = await read_document(call, DOCUMENT_MAX_BYTES)
    root = documents.parse(body, "LifecycleConfiguration")
    rules = list(documents.children(root, "Rule"))
    if not 1 <= len(rules) <= RULES_MAX:
        raise malformed_xml(f"A LifecycleConfiguration holds 1 to {RULES_MAX} rules.")
    for rule in rules:
        if documents.text_of(rule, "Status").strip() not in {"Enabled", "Disabled"}:
            raise malformed_xml("Status is Enabled or Disabled.")
    await _keep(service, call, body)
    return Answer()


async def get_lifecycle(service: Service, call: Call) -> Answer:
    """GetBucketLifecycle: what was put, byte by byte. Raises OssFault 404 NoSuchLifecycle."""
    body = await service.ledger.read(
        lambda database: buckets.read_document(database, service.require(call, database), _NAME)
    )
    if body is None:
        raise OssFault(
            404, "NoSuchLifecycle", "The bucket has no lifecycle rules.", elements={"BucketName": call.bucket}
        )
    return Answer(headers={"Content-Type": "application/xml"}, body=body)


async def delete_lifecycle(service: Service, call: Call) -> Answer:
    """DeleteBucketLifecycle."""
    await _keep(service, call, None)
    return Answer(status=204)


async def _keep(service: Service, call: Call, body: bytes | None) -> None:
    def commit(transaction: Transaction) -> None:
        buckets.keep_document(transaction.database, service.require(call, transaction), _NAME, body)

    await service.ledger.write(commit)
