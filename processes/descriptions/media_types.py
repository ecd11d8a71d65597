"""Media types as descriptions and clients name them."""

from __future__ import annotations

import re

JSON = "application/json"
GEOJSON = "application/geo+json"
TEXT = "text/plain"
_NAME = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_MEDIA_TYPE = re.compile(rf'{_NAME}/{_NAME}(?: *; *{_NAME}=(?:{_NAME}|"[^"\\\x00-\x1f\x7f-\U0010ffff]*"))*')


def normalised(media_type: str) -> str:
    """In small letters, with one way to write parameters: `image/tiff; application=geotiff`."""
    parts = [part.strip() for part in media_type.split(";")]
    return "; ".join([parts[0].lower(), *sorted(part.replace('"', "").lower() for part in parts[1:] if part)])


def is_media_type(text: str) -> bool:
    """Whether it is written as a media type, so that it may stand in a header."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def essence(media_type: str) -> str:
    """Without parameters."""
    return media_type.partition(";")[0].strip().lower()


def matches(given: str, declared: str) -> bool:
    """Whether both are the same; one that has no parameters stands for any."""
    if essence(given) != essence(declared):
        return False
    return normalised(given) == normalised(declared) or ";" not in given or ";" not in declared


def is_json(media_type: str) -> bool:
    """Whether what has it is JSON."""
    name = essence(media_type)
    return name == JSON or name.endswith("+json")
