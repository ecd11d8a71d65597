"""Messages, decoder cases and zstd frames that were produced and judged by the Rust implementation of the base protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streaming.dialects.geo.codec import Encoding, decode
from streaming.dialects.geo.messages import Compression, Message, MessageFormat

_ALL: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
MESSAGES: list[dict[str, Any]] = _ALL["messages"]
CASES: list[dict[str, Any]] = _ALL["decoder_cases"]
ZSTD: list[dict[str, Any]] = _ALL["zstd"]
RUST_FIRST_FRAME = bytes.fromhex(_ALL["first_frame_of_every_upstream_rust_client_hex"])

MAP = Encoding.of(MessageFormat.MESSAGE_PACK, Compression.NONE)
POSITIONAL = Encoding.of(MessageFormat.MESSAGE_PACK, Compression.NONE, positional=True)


def read(data: bytes | str) -> Message:
    return decoded(data)[0]


def decoded(data: bytes | str) -> tuple[Message, Encoding]:
    return decode(data, max_size=1 << 20, max_decompressed=1 << 20)


def message(name: str) -> dict[str, Any]:
    return next(vector for vector in MESSAGES if vector["name"] == name)
