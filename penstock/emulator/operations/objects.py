"""PutObject: a body becomes the newest version of a key. Calls the ledger and the vault."""

from __future__ import annotations

import sqlite3

from penstock.emulator.operations import callback, metadata
from penstock.emulator.operations.intake import digest_headers, take_in
from penstock.emulator.operations.selection import version_header
from penstock.emulator.protocol.answer import Answer
from penstock.emulator.protocol.call import Call
from penstock.emulator.service import Service
from penstock.emulator.storage import contents, versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.versions import Draft


async def put_object(service: Service, call: Call) -> Answer:
    """PutObject."""
    forbid = call.flag("x-oss-forbid-overwrite")
    headers, traits = metadata.from_request(call), metadata.traits_from_request(call)

    def allowed(database: sqlite3.Connection) -> None:
        bucket = service.require(call, database)
        if forbid:
            versions.refuse_overwrite(database, bucket, call.key)

    await service.ledger.read(allowed)
    blob = await take_in(service, call)
    content, token = service.new_token(), service.new_token()

    def commit(transaction: Transaction) -> tuple[Bucket, str]:
        bucket = service.require(call, transaction)
        if forbid:
            versions.refuse_overwrite(transaction.database, bucket, call.key)
        contents.add(transaction, content, blob)
        draft = Draft(
            kind="Normal",
            size_bytes=blob.size_bytes,
            etag=blob.md5.hex().upper(),
            crc64=blob.crc64,
            headers=metadata.in_bucket(headers, bucket),
            content=content,
            traits=traits,
        )
        return bucket, versions.add(transaction, bucket, call.key, draft, token=token, modified_ns=service.clock())

    try:
        bucket, chosen = await service.ledger.write(commit)
    except BaseException:
        service.vault.forget(blob)
        raise
    told = {**digest_headers(blob), **version_header(bucket, chosen), **metadata.encryption_of(headers)}
    return callback.refused(call, Answer(headers=told))
