"""The JSON Schema (2020-12) of an input or an output, and what OGC API - Processes reads into it.

jsonschema-rs validates: some hundred times as fast as what is written in Python, with regular expressions that end in bounded time. It
is imported with the first value that is validated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from . import formats
from .costs import why_too_costly
from .faults import MOST_FAULTS, Fault, pointer_to
from .media_types import GEOJSON, JSON, TEXT, essence, is_json, matches

if TYPE_CHECKING:
    from jsonschema_rs import Validator

BACKTRACKS = 100_000
LONGEST_DETAIL = 500
METASCHEMA = "https://json-schema.org/draft/2020-12/schema"
_CHOICES = ("oneOf", "anyOf")


@dataclass(frozen=True, eq=False)
class Schema:
    """One schema. A choice of media types (`oneOf`, each with a `contentMediaType`) has a branch for each."""

    data: Mapping[str, Any]

    # -- what it says -----------------------------------------------------------

    @cached_property
    def branches(self) -> tuple[Mapping[str, Any], ...]:
        """The schemas of the media types that a value may have; the first is the default."""
        for choice in _CHOICES:
            members = [each for each in self.data.get(choice, ()) if isinstance(each, dict)]
            if any("contentMediaType" in each or "contentEncoding" in each for each in members):
                return tuple(members)
        return (self.data,)

    @cached_property
    def media_types(self) -> tuple[str, ...]:
        """The media types that it declares, the default first."""
        return tuple(each["contentMediaType"] for each in self.branches if isinstance(each.get("contentMediaType"), str))

    @cached_property
    def is_bbox(self) -> bool:
        """Whether its values are bounding boxes."""
        return formats.BBOX in self._formats(self.data)

    @cached_property
    def takes_lists(self) -> bool:
        """Whether a list can be one value of it."""
        kinds = [_types(self.data), *(_types(each) for choice in (*_CHOICES, "allOf") for each in self.data.get(choice, ()))]
        return any("array" in each for each in kinds) or not any(kinds)

    @cached_property
    def allowed_crs(self) -> tuple[str, ...] | None:
        """The CRSs of its bounding boxes; None: what its schema says of them decides."""
        for each in (self.data, *self.data.get("allOf", ())):
            crs = each.get("properties", {}).get("crs") if isinstance(each, dict) else None
            if isinstance(crs, dict) and crs.keys() & {"enum", "const", "pattern", "anyOf", "oneOf"}:
                return None
        return formats.CRS84, formats.CRS84H

    def branch_of(self, media_type: str) -> Mapping[str, Any] | None:
        """The branch that a media type selects; None: it is not supported."""
        for each in self.branches:
            declared = each.get("contentMediaType")
            if declared is not None and matches(media_type, declared):
                return each
        return next((each for each in self.branches if _takes(each, media_type)), None)

    def is_binary(self, media_type: str = "") -> bool:
        """Whether a value, perhaps of a media type, is bytes, which JSON holds as base64."""
        branch = self.branch_of(media_type) if media_type else self.branches[0]
        return branch is not None and _is_binary(branch)

    def media_type_of(self, value: Any) -> str:
        """What a value is, if nobody has said so."""
        for branch in self.branches:
            if "contentMediaType" in branch and (len(self.branches) == 1 or not self._branch_faults(value, branch)):
                return str(branch["contentMediaType"])
        if self.is_binary():
            return "application/octet-stream"
        if any(name in formats.CHECKS for name in self._formats(self.data)):
            return GEOJSON
        return JSON if isinstance(value, dict | list) or value is None else TEXT

    # -- values -----------------------------------------------------------------

    def faults(self, value: Any, media_type: str = "") -> list[Fault]:
        """What is wrong with one value."""
        if media_type:
            branch = self.branch_of(media_type)
            if branch is None:
                return [self.unsupported(media_type)]
            return self._branch_faults(value, branch)
        if len(self.branches) == 1:
            return self._branch_faults(value, self.data)
        found = [self._branch_faults(value, branch) for branch in self.branches]
        return min(found, key=len)

    def unsupported(self, media_type: str) -> Fault:
        """The fault of a value in a media type that is not taken."""
        return Fault("", f"the media type {media_type[:100]!r} is not supported; it is one of {', '.join(self.media_types) or JSON}")

    def _branch_faults(self, value: Any, branch: Mapping[str, Any]) -> list[Fault]:
        faults = list(self._schema_faults(value, branch))
        if not faults and _is_binary(branch):
            faults = _base64_faults(value)
        if not faults:
            for name in self._formats(branch):
                if name == formats.BBOX:
                    faults += formats.bbox_faults(value, self.allowed_crs)
                elif name in formats.CHECKS:
                    faults += formats.CHECKS[name](value)
        return faults[:MOST_FAULTS]

    def _schema_faults(self, value: Any, branch: Mapping[str, Any]) -> Iterator[Fault]:
        index = next((index for index, each in enumerate(self.branches) if each is branch), 0)
        for number, error in enumerate(self._validators[index].iter_errors(value)):
            if number == MOST_FAULTS:
                return
            choices: Sequence[Any] = getattr(error.kind, "context", ())
            for each in choices[0] if len(choices) == 1 else [error]:
                yield Fault(pointer_to(each.instance_path), each.message[:LONGEST_DETAIL])

    @cached_property
    def _validators(self) -> tuple[Validator, ...]:
        return tuple(_validator(self._with_only(branch)) for branch in self.branches)

    def _with_only(self, branch: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole schema, so that references lead somewhere, with one choice of media type."""
        if branch is self.data:
            return self.data
        choice = next(each for each in _CHOICES if any(member is branch for member in self.data.get(each, ())))
        return {**self.data, choice: [branch]}

    def _formats(self, branch: Mapping[str, Any]) -> list[str]:
        parts = [self.data, branch] if branch is not self.data else [branch]
        parts += [each for part in list(parts) for each in part.get("allOf", ()) if isinstance(each, dict)]
        return [formats.format_name(part["format"]) for part in parts if "format" in part]


def schema_faults(data: Any) -> list[Fault]:
    """What is wrong with a schema itself. References lead within it: a server fetches nothing because of what a worker wrote."""
    if not isinstance(data, dict):
        return [Fault("", "a schema is an object")]
    faults = list(_reference_faults(data, ""))
    if not faults and (why := why_too_costly(data)):
        faults = [Fault("", why)]
    if not faults:
        faults = [Fault(pointer_to(error.instance_path), error.message[:LONGEST_DETAIL]) for error in _meta().iter_errors(data)]
    if not faults:
        try:
            _validator(data)
        except ValueError as error:
            faults = [Fault("", str(getattr(error, "message", error))[:LONGEST_DETAIL])]
    return faults


def _reference_faults(data: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(data, dict):
        for name, member in data.items():
            if name in ("$ref", "$dynamicRef") and isinstance(member, str) and not (member == "#" or member.startswith("#/")):
                yield Fault(f"{pointer}/{name}", f"{member[:200]!r} leads out of the schema; put it into $defs and refer to #/$defs/…")
            elif name in ("$id", "$anchor", "$dynamicAnchor") and isinstance(member, str) and pointer:
                yield Fault(f"{pointer}/{name}", f"{name} is not supported within a schema; refer to #/$defs/…")
            elif name not in ("const", "enum", "default", "examples", "example"):
                yield from _reference_faults(member, pointer + pointer_to([name]))
    elif isinstance(data, list):
        for index, member in enumerate(data):
            yield from _reference_faults(member, f"{pointer}/{index}")


def _validator(data: Mapping[str, Any]) -> Validator:
    from jsonschema_rs import Draft202012Validator, FancyRegexOptions

    local = {name: member for name, member in data.items() if name not in ("$id", "$schema")}
    return Draft202012Validator(
        local, validate_formats=True, mask="it", offline=True, pattern_options=FancyRegexOptions(backtrack_limit=BACKTRACKS)
    )


@cache
def _meta() -> Validator:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator({"$ref": METASCHEMA}, offline=True)


def _types(schema: Any) -> list[str]:
    kinds = schema.get("type", []) if isinstance(schema, dict) else []
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _takes(branch: Mapping[str, Any], media_type: str) -> bool:
    """Whether a branch that does not name the media type takes it all the same."""
    declared = branch.get("contentMediaType")
    if _is_binary(branch):
        return declared is None
    return is_json(media_type) if declared is not None and is_json(declared) else declared is None and _is_plain(media_type)


def _is_plain(media_type: str) -> bool:
    return is_json(media_type) or essence(media_type) == TEXT


def _is_binary(branch: Mapping[str, Any]) -> bool:
    return branch.get("contentEncoding") in ("binary", "base64")


def _base64_faults(value: Any) -> list[Fault]:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return [Fault("", "it is not base64, which is how JSON holds bytes")]
    return []
