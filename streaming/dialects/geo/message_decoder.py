"""Decodes frames, in any encoding, to messages.

Nothing a peer sends gets further than this untyped, and nothing it sends costs more than in proportion to the limits: sizes are checked
before decompressing, nesting is bounded. Of the freedoms that Rust peers of `oxigdal-ws` have (arrays in place of maps, variant numbers in
place of a `type`, pairs in place of a zoom range), nothing is left in the message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...core.errors import StreamError
from ...core.json_depth import exceeds_depth
from . import zstd
from .encoding import Encoding
from .errors import BYTES_PER_PART, MAX_DEPTH, DecodeError, too_deep, too_many
from .messagepack import as_text, declared_length, plain_field, unpack
from .messages import BASE_FIELDS, INDEXED, TYPES, Authenticate, Compression, Message, MessageFormat, type_of
from .zstd_frame import MAGIC

_JSON_STARTS = b"{ \t\r\n"
_ENUM_FIELDS = ("format", "compression", "change_type", "event_type")


def decode(data: bytes | str, *, max_size: int, max_decompressed: int) -> tuple[Message, Encoding]:
    """The message in a frame, and the encoding it arrived in.

    Sizes are in bytes: of the frame, and of what it decompresses to. Raises DecodeError with the code `bad_frame`, `bad_request`,
    `unsupported_type` or `too_large`.
    """
    if len(data) > max_size:
        raise _too_large(max_size)
    frame = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(frame) > max_size:
        raise _too_large(max_size)
    compression, upstream = Compression.NONE, False
    if frame[:4] == MAGIC:
        try:
            frame, upstream = zstd.decompress(frame, max_decompressed)
        except StreamError as error:
            raise DecodeError(error.code, error.message) from None
        compression = Compression.ZSTD
    return _decode_plain(frame, compression, upstream, max(max_decompressed // BYTES_PER_PART, 1024))


def _decode_plain(frame: bytes, compression: Compression, upstream: bool, most: int) -> tuple[Message, Encoding]:
    first = frame[0] if frame else 0xC1
    if first in _JSON_STARTS:
        encoding = Encoding.of(MessageFormat.JSON, compression, stored_zstd=upstream)
        return _guarded(_from_json, frame, encoding, most)
    positional = 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)
    if positional or 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
        encoding = Encoding.of(MessageFormat.MESSAGE_PACK, compression, positional=positional, stored_zstd=upstream)
        return _guarded(_from_array if positional else _from_map, frame, encoding, most)
    raise DecodeError("bad_frame", "the frame is neither a JSON object nor a MessagePack map or array nor a zstd frame of one")


def _guarded(read: Callable[[bytes, int], Message], frame: bytes, encoding: Encoding, most: int) -> tuple[Message, Encoding]:
    try:
        return read(frame, most), encoding
    except DecodeError as error:
        error.encoding = encoding
        raise


def _from_json(frame: bytes, most: int) -> Message:
    if frame.count(b"[") + frame.count(b"{") > most:
        raise too_many()
    try:
        fields = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError("bad_frame", f"the JSON cannot be read: {error}") from None
    except RecursionError:
        raise too_deep() from None
    if not isinstance(fields, dict):
        raise DecodeError("bad_frame", "the JSON text is not an object")
    if exceeds_depth(frame, MAX_DEPTH + 1):
        raise too_deep()
    tag = fields.get("type")
    return _typed(tag if isinstance(tag, str) else None, fields)


def _from_map(frame: bytes, most: int) -> Message:
    raw = unpack(frame, most)
    fields: dict[str, Any] = {}
    for key, value in raw.items():
        fields[as_text(key)] = value
    if len(fields) != declared_length(frame):
        raise DecodeError("bad_request", "a key appears twice", _request_id(fields))
    return _typed(_variant(fields.get("type")), fields, plain=False)


def _from_array(frame: bytes, most: int) -> Message:
    tag, *values = unpack(frame, most) or (None,)
    kind = _kind(_variant(tag), None)
    names = BASE_FIELDS[kind]
    fields = dict(zip(names, values, strict=False))
    if len(values) != len(names):
        raise DecodeError(
            "bad_request", f"`{_variant(tag)}`: after the type, {_listed(names)} must follow, all of them", _request_id(fields)
        )
    return _typed(_variant(tag), fields, plain=False)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _variant(tag: Any) -> str | None:
    """The `type` text that a MessagePack peer means by text, binary text or a variant number."""
    if isinstance(tag, bytes):
        return as_text(tag)
    if isinstance(tag, int) and not isinstance(tag, bool) and 0 <= tag < len(INDEXED):
        return type_of(INDEXED[tag])
    return tag if isinstance(tag, str) else None


def _kind(tag: str | None, request_id: str | None) -> type[Message]:
    if tag is None:
        raise DecodeError("bad_request", "the message has no `type`, or it is not a text", request_id)
    kind = TYPES.get(tag)
    if kind is None:
        raise DecodeError("unsupported_type", f"there is no message of type {tag[:64]!r}", request_id)
    return kind


def _typed(tag: str | None, fields: dict[str, Any], *, plain: bool = True) -> Message:
    request_id = _request_id(fields)
    kind = _kind(tag, request_id)
    try:
        if not plain:
            fields = {name: plain_field(name, value) for name, value in fields.items()}
        fields["type"] = tag
        _unfold(fields)
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        if kind is Authenticate and request_id is None:
            request_id = "authenticate"
        raise DecodeError("bad_request", f"`{tag}`: {error}", request_id) from None
    except DecodeError as error:
        error.request_id = request_id
        raise


def _request_id(fields: dict[str, Any]) -> str | None:
    for name in ("subscription_id", "request_id"):
        found = fields.get(name)
        if isinstance(found, bytes):
            return found.decode("utf-8", "replace")
        if isinstance(found, str):
            return found
    return None


def _unfold(fields: dict[str, Any]) -> None:
    """Spellings that Rust peers may use: an enum as `{name: null}`, a zoom range as a pair."""
    for name in _ENUM_FIELDS:
        if name in fields:
            fields[name] = _enum_name(fields[name])
    if isinstance(fields.get("event_types"), list):
        fields["event_types"] = [_enum_name(value) for value in fields["event_types"]]
    zooms = fields.get("zoom_range")
    if isinstance(zooms, list) and len(zooms) == 2:
        fields["zoom_range"] = {"start": zooms[0], "end": zooms[1]}


def _enum_name(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((name, nothing),) = value.items()
        return name if nothing is None else value
    return value


def _too_large(max_size: int) -> DecodeError:
    return DecodeError("too_large", f"the message is larger than {max_size} bytes")
