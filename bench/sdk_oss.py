"""The OSS SDK as a peer, in the peers' own venv: sdk_oss.py import|export PORT BUCKET PREFIX DIRECTORY COUNT THREADS.

Its downloader and uploader move large files in parts; small ones go through one pool of threads, one request each.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import alibabacloud_oss_v2 as oss

PART_BYTES = 16 << 20
BLOCK_BYTES = 1 << 20
SMALL_MAX_BYTES = 8 << 20


def main(arguments: list[str]) -> None:
    """Moves COUNT files named 000000, 000001, ..."""
    direction, port, bucket, prefix, directory, count, threads = arguments
    names = [f"{number:06d}" for number in range(int(count))]
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider("benchkeyid01", "benchsecret01")
    config.region = "cn-hangzhou"
    config.endpoint = f"http://127.0.0.1:{port}"
    config.use_path_style = True
    client = oss.Client(config)

    def move(name: str) -> None:
        key, path = f"{prefix}/{name}", os.path.join(directory, name)
        if direction == "import":
            download(client, bucket, key, path, int(threads))
        else:
            upload(client, bucket, key, path, int(threads))

    with ThreadPoolExecutor(1 if len(names) == 1 else int(threads)) as pool:
        for done in pool.map(move, names):
            assert done is None


def download(client: oss.Client, bucket: str, key: str, path: str, threads: int) -> None:
    """One request where that is enough; the caller's directory tells by the number of its files."""
    request = oss.GetObjectRequest(bucket=bucket, key=key)
    if key.split("/", maxsplit=1)[0] == "large":
        parts = client.downloader(part_size=PART_BYTES, parallel_num=threads, block_size=BLOCK_BYTES)
        parts.download_file(request, path)
    else:
        client.get_object_to_file(request, path)


def upload(client: oss.Client, bucket: str, key: str, path: str, threads: int) -> None:
    """One request where that is enough."""
    request = oss.PutObjectRequest(bucket=bucket, key=key)
    if os.path.getsize(path) > SMALL_MAX_BYTES:
        client.uploader(part_size=PART_BYTES, parallel_num=threads).upload_file(request, path)
    else:
        client.put_object_from_file(request, path)


if __name__ == "__main__":
    main(sys.argv[1:])
