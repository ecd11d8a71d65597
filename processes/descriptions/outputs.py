"""The outputs that an execute request asks for, and those that a worker delivers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .faults import MOST_FAULTS, Fault, pointer_to

if TYPE_CHECKING:
    from .description import OutputDescription, Part

_MODES = ("value", "reference")


def read_outputs(
    described: Mapping[str, OutputDescription], transmission: Sequence[str], requested: Mapping[str, Any]
) -> tuple[dict[str, dict[str, str]], list[Fault]]:
    """Of each requested output {mediaType?, transmissionMode}, and all that is wrong."""
    read: dict[str, dict[str, str]] = {}
    faults: list[Fault] = []
    for name, raw in requested.items():
        at = pointer_to([name])
        if name not in described:
            faults.append(Fault(at, f"the process has no output {name[:100]!r}; it has {', '.join(described) or 'none'}"))
        elif not isinstance(raw, dict):
            faults.append(Fault(at, "it must be an object, perhaps with format and transmissionMode"))
        else:
            read[name], wrong = _request(described[name], transmission, raw)
            faults += [fault.within(at, name) for fault in wrong]
    return read, faults[:MOST_FAULTS]


def _request(described: OutputDescription, transmission: Sequence[str], raw: Mapping[str, Any]) -> tuple[dict[str, str], list[Fault]]:
    mode = raw.get("transmissionMode", transmission[0])
    faults = []
    if mode not in _MODES:
        faults.append(Fault("/transmissionMode", f"it is one of {', '.join(_MODES)}"))
    elif mode not in transmission:
        faults.append(Fault("/transmissionMode", f"the process delivers by {', '.join(transmission)} only"))
    form = raw.get("format", {})
    media_type = form.get("mediaType") if isinstance(form, dict) else None
    if not isinstance(form, dict) or not isinstance(media_type, str | None):
        faults.append(Fault("/format", "it must be an object with a mediaType, which is a text"))
    elif media_type and described.schema.branch_of(media_type) is None:
        faults.append(described.schema.unsupported(media_type).within("/format/mediaType"))
    return {"transmissionMode": str(mode), **({"mediaType": media_type} if isinstance(media_type, str) and media_type else {})}, faults


def part_faults(described: Mapping[str, OutputDescription], parts: Sequence[Part], expected: Iterable[str]) -> list[Fault]:
    """What is wrong with what a worker delivers. What is in a blob or behind a link is not looked at, but that its type may be."""
    delivered = {part.output for part in parts}
    faults = [Fault(pointer_to([name]), "this output is missing") for name in expected if name not in delivered]
    for part in parts:
        at = pointer_to([part.output])
        if part.output not in described:
            faults.append(Fault(at, f"the process has no output {part.output[:100]!r}; it has {', '.join(described) or 'none'}"))
            continue
        schema = described[part.output].schema
        if part.blob is None and not part.href:
            faults += [fault.within(at) for fault in schema.faults(part.value, part.media_type)]
        elif part.media_type and schema.branch_of(part.media_type) is None:
            faults.append(schema.unsupported(part.media_type).within(at))
    return faults[:MOST_FAULTS]
