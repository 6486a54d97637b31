"""A transfer's Checkpoint as the JSON text that the catalog keeps without looking inside, and back."""

from __future__ import annotations

import msgspec

from penstock.transfer.transfer import Checkpoint

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Checkpoint)


def written(checkpoint: Checkpoint | None) -> str:
    """The text to keep; empty for none."""
    return "" if checkpoint is None else _ENCODER.encode(checkpoint).decode("utf-8")


def read(text: str) -> Checkpoint | None:
    """The checkpoint in `text`; None for none. Raises ValueError for a text that none of our versions wrote."""
    return _DECODER.decode(text) if text else None
