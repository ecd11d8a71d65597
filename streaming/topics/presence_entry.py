"""Presence entries: one member's key, its meta, and the node (server process) that it belongs to.

Stored as canonical JSON whose last field is the node, so that Redis finds a dead node's members without reading any of it. The meta is
the developer's but for `phx_ref`, which names this version of it; the same bytes go to every client.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, cast

import msgspec

from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.core.json_values import NotJson, as_json

MAX_KEY_BYTES = 255
MAX_META_BYTES = 4096

ENDING = b'"node":"%b"}'
"""How the value of a node's member ends."""

_REFS = ("phx_ref", "phx_ref_prev")
_KEPT = ("online_at", "user")
"""Fields of the meta that an update keeps, unless it sets them."""


class Entry(msgspec.Struct, frozen=True):
    """One version of one member."""

    key: str
    meta: msgspec.Raw
    node: str

    @property
    def ref(self) -> str:
        """The `phx_ref` of its meta."""
        return _referred(self.meta).phx_ref

    def replacing(self, old: Entry) -> msgspec.Raw | dict[str, Any]:
        """Its meta for clients that hold an old one."""
        if old.key != self.key:
            return self.meta
        return {**msgspec.json.decode(self.meta), "phx_ref_prev": old.ref}


class _Referred(msgspec.Struct):
    phx_ref: str


parse_entry = msgspec.json.Decoder(Entry).decode
_referred = msgspec.json.Decoder(_Referred).decode


def entry_of(item: Item) -> Entry:
    """The entry of an item of a presence feed, parsed once."""
    entry = item.forms.get(Entry)
    if entry is None:
        entry = item.forms[Entry] = parse_entry(item.value)
    return cast(Entry, entry)


def checked_key(key: str) -> str:
    """`StreamError` unless members can be shown under it: any text of up to 255 bytes."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise StreamError("bad_request", "the key of a member is not valid Unicode") from error
    if size > MAX_KEY_BYTES:
        raise StreamError("too_large", f"the key of a member may have {MAX_KEY_BYTES} bytes, not {size:,}")
    return key


def checked_meta(meta: dict[str, Any]) -> dict[str, Any]:
    """A copy of what a developer wants to be shown. `StreamError`: bad_request unless it is JSON, too_large."""
    try:
        custom: dict[str, Any] = {name: value for name, value in as_json(meta, "meta").items() if name not in _REFS}
        size = len(msgspec.json.encode(custom))
    except (NotJson, UnicodeEncodeError, OverflowError, msgspec.MsgspecError) as error:
        raise StreamError("bad_request", f"the meta of a member must be JSON: {error}") from error
    if size > MAX_META_BYTES:
        raise StreamError("too_large", f"the meta of a member may have {MAX_META_BYTES:,} bytes as JSON, not {size:,}")
    return custom


def first_meta(member_id: str, custom: dict[str, Any]) -> dict[str, Any]:
    """The meta of a member that comes."""
    return {"online_at": int(time.time()), **custom, "phx_ref": member_id}


def next_meta(old: dict[str, Any], custom: dict[str, Any]) -> dict[str, Any]:
    """The meta of a member that is shown already."""
    kept = {name: old[name] for name in _KEPT if name in old}
    return {**kept, **custom, "phx_ref": secrets.token_urlsafe(9)}


def stored_entry(key: str, meta: dict[str, Any], node: str) -> bytes:
    """The bytes to store: equal ones mean that nothing changed."""
    return msgspec.json.encode({"key": key, "meta": meta, "node": node}, order="sorted")
