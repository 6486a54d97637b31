"""Prepares and judges a bucket of Ceph RGW by boto3, in the peers' own venv: rgw_client.py COMMAND PORT BUCKET [PREFIX].

`make` creates the bucket with the tag that dataflows ask for, `taken` prints objects, bytes and mixed checksums below PREFIX,
`empty` deletes all objects.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
import fastcrc
from botocore.config import Config

SIDE_BY_SIDE = 16
"""Each answer takes RGW some 40 ms, most of it spent waiting: one after the other thousands would take minutes."""


def main(arguments: list[str]) -> None:
    """One command."""
    command, port, bucket, *prefix = arguments
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="benchkeyid01",
        aws_secret_access_key="benchsecret01",  # noqa: S106
        config=Config(
            max_pool_connections=SIDE_BY_SIDE,
            s3={"addressing_style": "path"},
            response_checksum_validation="when_required",
        ),
    )
    if command == "make":
        client.create_bucket(Bucket=bucket)
        tags = {"TagSet": [{"Key": "cpfs-dataflow", "Value": "true"}]}
        client.put_bucket_tagging(Bucket=bucket, Tagging=tags)
        return
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix[0] if prefix else "")
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        if command == "empty":
            list(pool.map(lambda key: client.delete_object(Bucket=bucket, Key=key), keys))
            return
        sizes, mixed = 0, 0
        for size, crc in pool.map(partial(_read, client, bucket), keys):
            sizes, mixed = sizes + size, mixed ^ crc
    sys.stdout.write(f"{len(keys)} {sizes} {mixed}\n")


def _read(client: Any, bucket: str, key: str) -> tuple[int, int]:
    """An object's size and CRC-64."""
    size = crc = 0
    for piece in client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20):
        size += len(piece)
        crc = fastcrc.crc64.xz(piece, crc)
    return size, crc


if __name__ == "__main__":
    main(sys.argv[1:])
