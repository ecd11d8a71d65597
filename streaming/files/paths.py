"""The rules for paths of files: relative, in Unicode's composed form, without anything that some system reads differently.

They hold for every member of a message and every parameter of a request that names a path, whichever way it goes.
"""

from __future__ import annotations

import re
import unicodedata

from streaming.core.errors import StreamError

MAX_SEGMENT_BYTES, MAX_PATH_BYTES = 255, 1024
DEPTH = 512
"""No path of that length has more segments. `GEOSTREAM_FILES_DEPTH` asks for fewer."""
INTERNAL = ".hub"
"""What is called so, or begins with it and `-`, is the server's own: uploads, the trash."""

_DRIVE = re.compile(r"[A-Za-z]:")
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_FORBIDDEN = frozenset('<>:"|?*')
_RESERVED = frozenset(
    ("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *(f"{device}{number}" for device in ("COM", "LPT") for number in "123456789¹²³"))
)
"""Names of devices on Windows, whatever follows the first dot."""


class PathError(StreamError):
    """A path that breaks a rule. `rule` is its name on the wire."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__("invalid_path", message)
        self.rule = rule


def clean_path(value: object, depth: int = DEPTH) -> str:
    """The path in its stored form. `PathError` names the rule that it breaks."""
    if not isinstance(value, str):
        raise PathError("type", "a path must be text")
    if not value:
        raise PathError("empty", "the path is empty")
    path = _composed(value)
    if path.startswith("/") or _DRIVE.match(path):
        raise PathError("absolute", "a path must be relative, without a drive")
    if "\\" in path:
        raise PathError("backslash", "a path has / between its parts, and no \\")
    if any(map(_is_control, path)):
        raise PathError("control", "a path must not have control characters or marks of direction")
    segments = path.split("/")
    for segment in segments:
        _check_segment(segment)
    if len(path.encode()) > MAX_PATH_BYTES:
        raise PathError("too_long", f"a path may have {MAX_PATH_BYTES} bytes")
    if len(segments) > depth:
        raise PathError("too_deep", f"a path may have {depth} parts")
    return path


def is_internal(path: str) -> bool:
    """Whether a part of the path is the server's own."""
    return any(map(_is_internal, path.split("/")))


def parents(path: str) -> list[str]:
    """The directories that a path is in, the topmost first."""
    found, at = [], path.find("/")
    while at >= 0:
        found.append(path[:at])
        at = path.find("/", at + 1)
    return found


def is_below(path: str, top: str) -> bool:
    """Whether a path is this directory or something in it. Everything is below the empty path."""
    return not top or path == top or path.startswith(f"{top}/")


def twin_key(path: str) -> str:
    """Equal for paths that some file systems take for the same one."""
    return unicodedata.normalize("NFC", path.casefold())


def _composed(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PathError("unicode", "the path is not valid Unicode") from None
    return unicodedata.normalize("NFC", value[: 4 * MAX_PATH_BYTES])


def _is_control(character: str) -> bool:
    return character in _DIRECTION or unicodedata.category(character) in ("Cc", "Zl", "Zp")


def _is_internal(segment: str) -> bool:
    folded = segment.casefold()
    return folded == INTERNAL or folded.startswith(f"{INTERNAL}-")


def _check_segment(segment: str) -> None:
    if not segment:
        raise PathError("empty_segment", "a path must not have empty parts")
    if segment in (".", ".."):
        raise PathError("dot_segment", "a path must not have . or .. as a part")
    if _is_internal(segment):
        raise PathError("internal", f"names that begin with {INTERNAL}- are the server's own")
    if _FORBIDDEN.intersection(segment) or segment[0] == " " or segment[-1] in " ." or _stem(segment) in _RESERVED:
        raise PathError("portable", f"{segment[:80]!r} is not a name that every system can have")
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise PathError("too_long", f"a part of a path may have {MAX_SEGMENT_BYTES} bytes")


def _stem(segment: str) -> str:
    return segment.partition(".")[0].rstrip(" ").upper()
