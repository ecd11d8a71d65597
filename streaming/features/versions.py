"""Versions of features, and conditions on them: who changes a feature may say which version it was made from.

A version is the hash of a feature's canonical bytes. Over HTTP it is the feature's entity tag; in a document it is the
member `if_version` of a feature, which is never stored. The feed compares and stores in one step.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.feed import MUST_BE_NEW, version_of
from streaming.core.json_decoding import JsonDecoder

MEMBER = "if_version"
MENTIONED = b'"if_version"'
"""A text without this has no condition."""

_VERSION = re.compile(r"[0-9a-f]{40}")
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_decode = JsonDecoder[dict[str, Any]](dict[str, Any]).decode


def take_condition(record: bytes | dict[str, Any]) -> tuple[bytes | dict[str, Any], str]:
    """A feature without its member `if_version`, and the condition that this was; "" for none. `StreamError` invalid_feature."""
    if isinstance(record, bytes):
        if MENTIONED not in record:
            return record, ""
        try:
            feature = _decode(record)
        except _UNREADABLE:
            return record, ""  # refused with its reason by `parse_feature`
        if MEMBER not in feature:
            return record, ""
    elif MEMBER in record:
        feature = dict(record)
    else:
        return record, ""
    return feature, _condition(feature.pop(MEMBER))


def with_version(shown: bytes, stored: bytes) -> bytes:
    """A feature as it is shown, with the member `if_version` of the stored one: published like that, it replaces no other version."""
    return b"".join((shown[:-1], b',"if_version":"', version_of(stored).encode(), b'"}'))


def condition_of(versions: list[str], negated: bool = False) -> str:
    """The condition that the stored version is one of these (`*`: that there is any), or that it is none of them.

    They may be entity tags: in quotes, weak, with what was asked for behind a dot.
    """
    bare = [version.removeprefix("W/").strip('"').partition(".")[0] for version in versions]
    known = "*" if "*" in bare else " ".join(filter(_VERSION.fullmatch, bare)) or "-"  # "-" is no version
    return f"!{known}" if negated else known


def conflict(current: str) -> StreamError:
    """The refusal of a change of another version than the one that is stored; `current` is "" if there is none."""
    what = f"the stored version is {current}: read it, and change that" if current else "there is no such feature"
    return StreamError("precondition_failed", what)


def _condition(value: Any) -> str:
    if value is None:
        return MUST_BE_NEW
    if not isinstance(value, str):
        raise StreamError("invalid_feature", f"{MEMBER}: must be a version (the feature's ETag), or null for a new feature")
    return condition_of([value])
