"""Does every message arrive as it was sent, however the bytes are cut, and is everything else refused?"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.checkpoints import read, written
from penstock.engine.messages import (
    CheckpointRequest,
    Control,
    Hello,
    Lane,
    Lease,
    MoverLimits,
    Places,
    Ready,
    Report,
)
from penstock.engine.wire import FRAME_BYTES_MAX, FrameReader, Message, WireError, encode
from penstock.errors import FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind, FileDetail, FileSystem, Guarantee
from penstock.transfer.transfer import (
    Checkpoint,
    Outcome,
    OwnerAndMode,
    Progress,
    Symlinks,
    TransferChoices,
    Verdict,
    Whereabouts,
)
from tests.fixtures.gate import transfer

CHECKPOINT = Checkpoint(
    key="k",
    intent_ns=1 << 62,
    known_upload_ids=("a", "ü"),
    upload_id="u",
    source_modify_ns=-5,
    crc64=(1 << 64) - 1,
    etag="0a-2",
    checksum="CRC32C",
    begun_in=(Whereabouts(path=b"in/\xff", inode=(1 << 64) - 1, birth_ns=1),),
)
DETAIL = FileDetail(modify_time_ns=-1, size_bytes=1 << 50, checksum="crc64:1")
OUTCOME = Outcome(
    sub_task_id="s",
    attempt=3,
    verdict=Verdict.RETRY,
    code=FailureCode.STORE_THROTTLED,
    message="slow dówn",
    detail=DETAIL,
    guarantee=Guarantee.BEST_EFFORT,
    checkpoint=CHECKPOINT,
    retry_after_s=0.5,
)
PLACES = Places(
    file_systems=(FileSystem(file_system_id="bmcpfs-1", root="/mnt"),),
    buckets=(
        Bucket(
            name="b",
            kind=BucketKind.S3,
            endpoint="http://127.0.0.1:1",
            region="r",
            addressing_style=AddressingStyle.PATH,
            abilities={"crc64": True, "versioning": "Never", "number": 7},
        ),
    ),
)
MESSAGES: list[Message] = [
    Hello(
        mover="mover-1.1",
        secrets_path="/home/me/secrets.toml",
        places=PLACES,
        limits=MoverLimits(),
        choices=TransferChoices(symlinks=Symlinks.VENDOR, owner_and_mode=OwnerAndMode.KEEP),
    ),
    PLACES,
    Lease(transfers=(transfer(), transfer(attempt=2, checkpoint=CHECKPOINT)), lane=Lane.LARGE),
    Control(canceled=(("s", 1),), yielded=(("t", 2),), checkpointed=(1, 2), refused=(3,), drain=True),
    Ready(mover="mover-1.1", process_id=7),
    Report(
        mover="mover-1.1",
        progress=(
            Progress(
                sub_task_id="s", attempt=1, bytes_total=9, bytes_done=1, actual_bytes=1, moving_ns=5, detail=DETAIL
            ),
        ),
        checkpoints=(CheckpointRequest(sequence=1, sub_task_id="s", attempt=1, record=CHECKPOINT),),
        outcomes=(OUTCOME,),
    ),
]


@given(cuts=st.lists(st.integers(1, 4000), max_size=40))
def test_messages_survive_any_cutting(cuts: list[int]) -> None:
    data = b"".join(encode(message) for message in MESSAGES)
    reader = FrameReader()
    arrived: list[Message] = []
    for size in cuts:
        arrived += reader.feed(data[:size])
        data = data[size:]
    arrived += reader.feed(data)
    assert arrived == MESSAGES


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack("<IB", 1, 99) + b"\x00",
        struct.pack("<IB", FRAME_BYTES_MAX + 1, 0),
        struct.pack("<IB", 2, 3) + b"\xc1\xc1",
        struct.pack("<IB", 1, 4) + b"\x80",
        struct.pack("<IB", 7, 3) + b"\x81\xa5drain",
    ],
    ids=["unknown kind", "too long", "no MessagePack", "fields missing", "cut short"],
)
def test_what_is_no_message_is_refused(frame: bytes) -> None:
    with pytest.raises(WireError):
        FrameReader().feed(frame)


def test_a_wrong_type_in_a_field_is_refused() -> None:
    good = encode(Ready(mover="m", process_id=5))
    with pytest.raises(WireError, match="Ready"):
        FrameReader().feed(good.replace(b"\x05", b"\xc0"))


def test_a_text_that_is_no_utf8_is_refused_before_it_is_sent() -> None:
    with pytest.raises(WireError, match="cannot be sent"):
        encode(Ready(mover="\udcff", process_id=1))


def test_a_checkpoint_is_kept_as_text_and_read_again() -> None:
    assert read(written(CHECKPOINT)) == CHECKPOINT
    assert written(None) == ""
    assert read("") is None
    with pytest.raises(ValueError, match="key"):
        read("{}")


def test_a_later_version_may_add_fields_to_a_checkpoint() -> None:
    assert read('{"key": "k", "intent_ns": 1, "something_new": 2}') == Checkpoint(key="k", intent_ns=1)
