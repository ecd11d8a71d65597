"""Styles of layers: the JSON that says how a map draws them, and what is refused of it.

`layer-style.schema.json` beside this module is the definition: clients can fetch it, and everything that is saved is validated by it. What
is saved is safe to draw: colors are `#rrggbb`, icons come from a list, numbers are finite, and all of it is bounded.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

if TYPE_CHECKING:
    from jsonschema_rs import Validator

SCHEMA = Path(__file__).with_name("layer-style.schema.json")
EXAMPLE: dict[str, Any] = {
    "version": 1,
    "color": {"property": "altitude_ft", "type": "interpolate", "palette": "spectrum", "domain": [0, 40_000]},
    "icon": "aircraft",
    "rotate": {"property": "track_deg"},
    "label": {"property": "callsign"},
}


def check_style(style: Any) -> None:
    """Refuse what is no style: `StreamError` invalid_style, with the place in it, or too_large. None, no style, is fine."""
    if style is None:
        return
    try:
        size = len(msgspec.json.encode(style))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise StreamError("invalid_style", f"the style is no JSON: {error}") from error
    if size > conf.MAX_STYLE_BYTES:
        raise StreamError("too_large", f"the style has {size:,} bytes, more than GEOSTREAM_MAX_STYLE_BYTES ({conf.MAX_STYLE_BYTES:,})")
    for fault in _validator().iter_errors(style):
        raise _refusal(fault.instance_path, fault.message)
    for name in ("color", "size"):
        _check_order(name, style.get(name))


@cache
def schema_bytes() -> bytes:
    """The JSON Schema, as clients get it."""
    return SCHEMA.read_bytes()


@cache
def _validator() -> Validator:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(msgspec.json.decode(schema_bytes()), offline=True)


def _check_order(name: str, scale: Any) -> None:
    """Stops and domains go upwards, which a schema cannot say."""
    if not isinstance(scale, dict):
        return
    for member, values in (("stops", [stop[0] for stop in scale.get("stops", ())]), ("domain", scale.get("domain", ()))):
        if any(not math.isfinite(value) for value in values):
            raise _refusal([name, member], "the values are not finite")
        if any(low >= high for low, high in pairwise(values)):
            raise _refusal([name, member], "the values do not go upwards")


def _refusal(path: list[Any], message: str) -> StreamError:
    place = ".".join(map(str, ["style", *path]))
    return StreamError("invalid_style", f"{place}: {message[:300]}")
