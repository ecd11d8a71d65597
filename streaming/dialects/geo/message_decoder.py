"""Decodes frames, in any encoding, to messages.

Nothing a peer sends gets further than this untyped, and nothing it sends costs more than in proportion to the limits: sizes are checked
before decompressing, nesting is bounded. Of the freedoms that Rust peers of `oxigdal-ws` have (arrays in place of maps, variant numbers in
place of a `type`, pairs in place of a zoom range), nothing is left in the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ...core.errors import StreamError
from ...core.json_decoding import decode_json
from ...core.json_depth import exceeds_depth
from . import zstd
from .encoding import Encoding
from .errors import BYTES_PER_PART, MAX_DEPTH, DecodeError, too_deep, too_many
from .messagepack import as_text, declared_length, plain_field, unpack
from .messages import BASE_FIELDS, INDEXED, KEYS, REQUESTS, TYPES, Authenticate, Compression, Message, MessageFormat, type_of
from .zstd_frame import MAGIC, most_size

_JSON_STARTS = b"{ \t\r\n"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
MOST_NAMED = 5
"""Unknown keys that a refusal names."""
_ENUM_FIELDS = ("format", "compression", "change_type", "event_type")


class _Limits(NamedTuple):
    """How many arrays, objects and members a message may have; and whether it may have keys that are not its."""

    most: int
    strict: bool


def decode(
    data: bytes | str,
    *,
    max_size: int,
    max_decompressed: int,
    strict: bool = False,
    dictionaries: Mapping[int, zstd.ForeignDictionary] | None = None,
) -> tuple[Message, Encoding]:
    """The message in a frame, and the encoding it arrived in.

    Sizes are in bytes: of the frame, and of what it decompresses to. `strict`: keys that a request does not have are refused, because a
    misspelt filter must not return everything; else they are passed over, as the base protocol wants it. `dictionaries`: those of zstd that
    the frame may have been made with, by id. Raises DecodeError: `bad_frame`, `bad_request`, `unsupported_type` or `too_large`.
    """
    if len(data) > max_size:
        raise _too_large(max_size)
    frame = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(frame) > max_size:
        raise _too_large(max_size)
    compression, upstream = Compression.NONE, False
    if frame[:4] == MAGIC:
        try:
            frame, upstream = zstd.decompress(frame, max_decompressed, dictionaries)
        except StreamError as error:
            raise DecodeError(error.code, error.message) from None
        compression = Compression.ZSTD
    return _decode_plain(frame, compression, upstream, _Limits(max(max_decompressed // BYTES_PER_PART, 1024), strict))


def decoded_size(data: bytes | str) -> int:
    """How many bytes are to be decoded at most: of a compressed frame, what it decompresses to."""
    return most_size(data) if isinstance(data, bytes) and data[:4] == MAGIC else len(data)


def _decode_plain(frame: bytes, compression: Compression, upstream: bool, limits: _Limits) -> tuple[Message, Encoding]:
    first = frame[0] if frame else 0xC1
    if first in _JSON_STARTS:
        encoding = Encoding.of(MessageFormat.JSON, compression, stored_zstd=upstream)
        return _guarded(_from_json, frame, encoding, limits)
    positional = 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)
    if positional or 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
        encoding = Encoding.of(MessageFormat.MESSAGE_PACK, compression, positional=positional, stored_zstd=upstream)
        return _guarded(_from_array if positional else _from_map, frame, encoding, limits)
    raise DecodeError("bad_frame", "the frame is neither a JSON object nor a MessagePack map or array nor a zstd frame of one")


def _guarded(read: Callable[[bytes, _Limits], Message], frame: bytes, encoding: Encoding, limits: _Limits) -> tuple[Message, Encoding]:
    try:
        return read(frame, limits), encoding
    except DecodeError as error:
        error.encoding = encoding
        raise


def _from_json(frame: bytes, limits: _Limits) -> Message:
    if frame.count(b"[") + frame.count(b"{") > limits.most:
        raise too_many()
    try:
        fields = decode_json(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _half_a_pair(frame) or DecodeError("bad_frame", f"the JSON cannot be read: {error}") from None
    except RecursionError:
        raise too_deep() from None
    if not isinstance(fields, dict):
        raise DecodeError("bad_frame", "the JSON text is not an object")
    if exceeds_depth(frame, MAX_DEPTH + 1):
        raise too_deep()
    tag = fields.get("type")
    return _typed(tag if isinstance(tag, str) else None, fields, strict=limits.strict)


def _half_a_pair(frame: bytes) -> DecodeError | None:
    """The refusal of a request that could be read but for half an emoji: what `JSON.stringify` writes for a text that was cut there."""
    if not _SURROGATE.search(frame):
        return None
    try:
        fields = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    named = _request_id(fields) if isinstance(fields, dict) else None
    known = None if named is None else named.encode(errors="replace").decode()
    return DecodeError("bad_request", "a text holds half a surrogate pair, which UTF-8 cannot express", known)


def _from_map(frame: bytes, limits: _Limits) -> Message:
    raw = unpack(frame, limits.most)
    fields: dict[str, Any] = {}
    for key, value in raw.items():
        fields[as_text(key)] = value
    if len(fields) != declared_length(frame):
        raise DecodeError("bad_request", "a key appears twice", _request_id(fields))
    return _typed(_variant(fields.get("type")), fields, plain=False, strict=limits.strict)


def _from_array(frame: bytes, limits: _Limits) -> Message:
    tag, *values = unpack(frame, limits.most) or (None,)
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


def _typed(tag: str | None, fields: dict[str, Any], *, plain: bool = True, strict: bool = False) -> Message:
    request_id = _request_id(fields)
    kind = _kind(tag, request_id)
    try:
        if strict and kind in REQUESTS:
            _check_keys(kind, fields)
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


def _check_keys(kind: type[Message], fields: dict[str, Any]) -> None:
    unknown = sorted(fields.keys() - KEYS[kind])
    if unknown:
        names = ", ".join(f"`{name[:40]}`" for name in unknown[:MOST_NAMED])
        raise DecodeError("bad_request", f"`{type_of(kind)}` has no {names}")


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
