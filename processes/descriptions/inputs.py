"""The inputs of an execute request: what clients write in several ways, brought into one form and checked.

A value is classified as OGC API - Processes 1.0 says, in this order: an object with `href` is a link, an object with `value` a qualified
value, an object with `bbox` a bounding box (of an input that takes one), anything that is no object a plain value. Other objects would have
to be qualified by the standard; they are taken as values, because its examples and most clients send them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .faults import MOST_FAULTS, Fault, pointer_to
from .formats import CRS84, CRS84H

if TYPE_CHECKING:
    from .description import InputDescription

BASE64 = "base64"
_PLAIN = ("", "none", "utf-8", "utf8", "7bit", "8bit")


@dataclass(frozen=True, slots=True)
class Given:
    """One occurrence of an input: a value, or a link to one."""

    input: str
    pointer: str
    """Where it is in the inputs."""
    value: Any = None
    href: str = ""
    media_type: str = ""
    """As the client has said; empty: it has not."""
    encoding: str = ""
    """base64: the value is bytes."""

    def stored(self) -> dict[str, Any]:
        """As a job and a worker have it."""
        if self.href:
            return {"href": self.href, **({"type": self.media_type} if self.media_type else {})}
        more = {"mediaType": self.media_type, "encoding": self.encoding}
        return {"value": self.value, **{name: value for name, value in more.items() if value}}


def read_inputs(described: Mapping[str, InputDescription], given: Mapping[str, Any]) -> tuple[dict[str, list[Given]], list[Fault]]:
    """Of each id what occurs, and all that is wrong."""
    faults = [
        Fault(pointer_to([name]), f"the process has no input {name[:100]!r}; it has {', '.join(described) or 'none'}", name[:200])
        for name in given
        if name not in described
    ]
    read: dict[str, list[Given]] = {}
    for name, each in described.items():
        if name not in given:
            if each.at_least > 0:
                faults.append(Fault(pointer_to([name]), "this input is required", name))
            continue
        read[name], wrong = _occurrences(each, given[name])
        faults += wrong
    return read, faults[:MOST_FAULTS]


def value_faults(described: InputDescription, given: Given, value: Any) -> list[Fault]:
    """What is wrong with the value of one occurrence."""
    return [fault.within(given.pointer, described.id) for fault in described.schema.faults(value, given.media_type)]


def _occurrences(described: InputDescription, raw: Any) -> tuple[list[Given], list[Fault]]:
    at = pointer_to([described.id])
    if described.at_most == 1 or not isinstance(raw, list):
        given, faults = _occurrence(described, raw, at)
        return [given], faults + _count_faults(described, 1, at)
    read = [_occurrence(described, each, f"{at}/{index}") for index, each in enumerate(raw)]
    faults = [fault for _, wrong in read for fault in wrong]
    if faults and described.schema.takes_lists and described.at_least <= 1:
        whole, wrong = _occurrence(described, raw, at)
        if not wrong:  # the list is one value
            return [whole], []
    return [given for given, _ in read], _count_faults(described, len(raw), at) + faults


def _count_faults(described: InputDescription, count: int, at: str) -> list[Fault]:
    if count < described.at_least:
        return [Fault(at, f"{described.at_least} or more values are needed, not {count}", described.id)]
    if described.at_most is not None and count > described.at_most:
        return [Fault(at, f"at most {described.at_most} values are taken, not {count}", described.id)]
    return []


def _occurrence(described: InputDescription, raw: Any, at: str) -> tuple[Given, list[Fault]]:
    if isinstance(raw, dict) and "href" in raw:
        return _link(described, raw, at)
    if isinstance(raw, dict) and "value" in raw:
        return _qualified(described, raw, at)
    return _value(described, Given(described.id, at, raw))


def _link(described: InputDescription, raw: dict[str, Any], at: str) -> tuple[Given, list[Fault]]:
    media_type, encoding = raw.get("type", _format(raw).get("mediaType", "")), _format(raw).get("encoding", "")
    given = Given(described.id, at, href=str(raw["href"]), media_type=str(media_type), encoding=str(encoding))
    faults = []
    if not isinstance(raw["href"], str) or not raw["href"]:
        faults.append(Fault(f"{at}/href", "a link is a text", described.id))
    if not isinstance(media_type, str):
        faults.append(Fault(f"{at}/type", "a media type is a text", described.id))
    elif media_type and described.schema.branch_of(media_type) is None:
        faults.append(described.schema.unsupported(media_type).within(f"{at}/type", described.id))
    return given, faults


def _qualified(described: InputDescription, raw: dict[str, Any], at: str) -> tuple[Given, list[Fault]]:
    media_type = raw.get("mediaType", _format(raw).get("mediaType")) or ""
    encoding = raw.get("encoding", _format(raw).get("encoding")) or ""
    if not isinstance(media_type, str) or not isinstance(encoding, str):
        return Given(described.id, at), [Fault(at, "mediaType and encoding are texts", described.id)]
    binary = described.schema.is_binary(media_type)
    if encoding.lower() not in (*_PLAIN, *((BASE64, "binary") if binary else ())):
        return Given(described.id, at), [Fault(f"{at}/encoding", f"the encoding {encoding[:40]!r} is not supported here", described.id)]
    given, faults = _value(described, Given(described.id, at, raw["value"], media_type=media_type), inner="/value")
    return given, faults


def _value(described: InputDescription, given: Given, inner: str = "") -> tuple[Given, list[Fault]]:
    value = given.value
    schema = described.schema
    if schema.is_bbox and isinstance(value, dict) and "crs" not in value and isinstance(value.get("bbox"), list):
        value = {**value, "crs": CRS84H if len(value["bbox"]) == 6 else CRS84}
    faults = [fault.within(given.pointer + inner, described.id) for fault in schema.faults(value, given.media_type)]
    encoding = BASE64 if isinstance(value, str) and schema.is_binary(given.media_type or schema.media_type_of(value)) else ""
    return Given(given.input, given.pointer, value, media_type=given.media_type, encoding=encoding), faults


def _format(raw: dict[str, Any]) -> dict[str, Any]:
    nested = raw.get("format")
    return nested if isinstance(nested, dict) else {}
