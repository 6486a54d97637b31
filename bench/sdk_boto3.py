"""boto3 as a peer, in the peers' own venv: sdk_boto3.py import|export PORT BUCKET PREFIX DIRECTORY COUNT THREADS.

Its transfer manager with its defaults (8 MiB parts) moves large files; many small ones go through one pool of threads.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config


def main(arguments: list[str]) -> None:
    """Moves COUNT files named 000000, 000001, ..."""
    direction, port, bucket, prefix, directory, count, threads = arguments
    names = [f"{number:06d}" for number in range(int(count))]
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="benchkeyid01",
        aws_secret_access_key="benchsecret01",  # noqa: S106
        config=Config(
            # Over plain http it would hash every byte with SHA-256 only to sign it, which it does not do over https.
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            max_pool_connections=64,
            retries={"total_max_attempts": 1},
        ),
    )
    config = TransferConfig(max_concurrency=int(threads), use_threads=len(names) == 1)

    def move(name: str) -> None:
        key, path = f"{prefix}/{name}", os.path.join(directory, name)
        if direction == "import":
            client.download_file(bucket, key, path, Config=config)
        else:
            client.upload_file(path, bucket, key, Config=config)

    with ThreadPoolExecutor(1 if len(names) == 1 else int(threads)) as pool:
        for done in pool.map(move, names):
            assert done is None


if __name__ == "__main__":
    main(sys.argv[1:])
