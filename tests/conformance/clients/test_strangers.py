"""Does every client of others find an OSS here? One suite for the vendor's SDK, with both signatures, and for OpenDAL."""

from __future__ import annotations

import pytest

from tests.conformance.clients.strangers import (
    PART_BYTES,
    MissingError,
    OpendalStranger,
    SdkStranger,
    Stranger,
    TakenError,
    sdk_client,
)
from tests.conformance.stores.driving import noise
from tests.fixtures.emulator import EmulatorServer

KEYS = ["a", "a/b", "with space+plus", "url-%123-?#:", "%41", "quote'\"<&>", "数据/模型.bin", "~-_.!*()", "k" * 1023]


@pytest.fixture(params=["sdk-v4", "sdk-v1", "opendal"])
def client(request: pytest.FixtureRequest, emulator: EmulatorServer) -> Stranger:
    """One of them, with a bucket of its own."""
    bucket = emulator.bucket()
    if request.param == "opendal":
        return OpendalStranger(emulator, bucket)
    return SdkStranger(sdk_client(emulator, request.param.removeprefix("sdk-")), bucket)


def test_every_key_comes_back(client: Stranger) -> None:
    for key in KEYS:
        client.put(key, key.encode())
    assert sorted(client.keys("")) == sorted(KEYS)
    for key in KEYS:
        assert client.get(key) == key.encode()
        client.delete(key)
    assert client.keys("") == []


@pytest.mark.parametrize("size", [0, 1, 70_000, 1_200_000])
def test_contents_of_any_size(client: Stranger, size: int) -> None:
    body = noise(size)
    client.put("k", body)
    assert client.describe("k")[0] == size
    assert client.get("k") == body


def test_ranges(client: Stranger) -> None:
    body = noise(200_000)
    client.put("k", body)
    for offset, length in [(0, 1), (1, 99_999), (199_999, 1), (0, 200_000)]:
        assert client.get_range("k", offset, length) == body[offset : offset + length]


def test_uploads_in_parts(client: Stranger) -> None:
    body = noise(3 * PART_BYTES + 5)
    client.put_in_parts("k", body)
    assert client.get("k") == body


def test_metadata(client: Stranger) -> None:
    client.put("k", b"x", metadata={"name": "value"})
    size, metadata = client.describe("k")
    assert (size, metadata) == (1, {"name": "value"})


def test_what_is_not_there(client: Stranger) -> None:
    with pytest.raises(MissingError):
        client.get("k")
    with pytest.raises(MissingError):
        client.describe("k")
    client.delete("k")


def test_a_key_that_is_taken_is_kept(client: Stranger) -> None:
    client.create("k", b"first")
    with pytest.raises(TakenError):
        client.create("k", b"second")
    assert client.get("k") == b"first"


def test_copies(client: Stranger) -> None:
    client.put("dir/数 +%", b"x")
    client.copy("dir/数 +%", "copy")
    assert client.get("copy") == b"x"


def test_listings_beneath_a_prefix(client: Stranger) -> None:
    keys = [f"dir/{n:02}" for n in range(8)]
    for key in [*keys, "dis", "other/x"]:
        client.put(key, b"")
    assert client.keys("dir/") == keys
