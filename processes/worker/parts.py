"""Inputs and outputs as messages have them: values, blobs and links."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from .annotations import BBox
from .blobs import Blobs
from .errors import BadInput
from .process import Process
from .schemas import split, without_none
from .signature import OutputValue
from .values import to_json

BINARY_INLINE = 32 * 1024
"""Bytes of binary values that go into a message, in base64."""
JSON = "application/json"


@dataclass(slots=True)
class Encoded:
    """An output, ready to be sent as JSON or bytes."""

    output: str
    data: bytes
    binary: bool
    media_type: str
    blob: dict[str, Any] | None = None

    def part(self) -> dict[str, Any]:
        """As a message has it."""
        named = {"mediaType": self.media_type} if self.media_type else {}
        if self.blob is not None:
            return {"blob": self.blob, **named}
        return {"value": b64encode(self.data).decode() if self.binary else msgspec.Raw(self.data), **named}

    async def upload(self, blobs: Blobs) -> None:
        """Have the server store it."""
        if self.blob is None:
            self.blob = await blobs.upload(self.data, self.media_type or JSON)


def encode_output(output: OutputValue, value: Any, requested: Mapping[str, Any] | None = None) -> Encoded:
    """An output in the media type that was asked for, if the function had a choice, or in its own. `JobFailed`."""
    if isinstance(value, bytes | bytearray | memoryview):
        media_type = (requested or {}).get("mediaType") or output.media_type or "application/octet-stream"
        return Encoded(output.id, bytes(value), True, media_type)
    return Encoded(output.id, msgspec.json.encode(to_json(value)), False, output.media_type)


async def place(encoded: Sequence[Encoded], blobs: Blobs, inline: int, frame: int) -> dict[str, dict[str, Any]]:
    """The parts of a message that is not too large: the largest values become blobs."""
    for each in encoded:
        if len(each.data) > (min(BINARY_INLINE, inline // 2) if each.binary else inline):
            await each.upload(blobs)
    left = frame * 0.7
    for each in sorted((each for each in encoded if each.blob is None), key=lambda each: len(each.data)):
        left -= len(each.data) * (4 / 3 if each.binary else 1)
        if left < 0:
            await each.upload(blobs)
    return {each.output: each.part() for each in encoded}


async def read_inputs(process: Process, inputs: Mapping[str, Sequence[Mapping[str, Any]]], blobs: Blobs) -> dict[str, list[Any]]:
    """Of each input its occurrences, with blobs and links fetched. `BadInput`, `JobFailed`."""
    read: dict[str, list[Any]] = {}
    for name, parts in inputs.items():
        if name not in process.signature.inputs:
            raise BadInput(f"{process.id} has no input {name!r}", name)
        hint = without_none(split(process.signature.inputs[name].hint)[0])
        read[name] = [await _value(name, part, hint, blobs) for part in parts]
    return read


async def _value(name: str, part: Mapping[str, Any], hint: Any, blobs: Blobs) -> Any:
    if "blob" in part:
        return _decoded(await blobs.download(part["blob"]), hint, name)
    if "href" in part:
        data = await blobs.fetch(part["href"], name)
        plain = hint is str and "json" not in part.get("type", "")
        return data.decode(errors="replace") if plain else _decoded(data, hint, name)
    return part.get("value")


def _decoded(data: bytes, hint: Any, name: str) -> Any:
    """What is not binary is JSON, whatever its media type."""
    if hint is bytes:
        return data
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"it cannot be read: {error}", name) from None
    return BBox(tuple(value)) if hint is BBox and isinstance(value, list) else value
