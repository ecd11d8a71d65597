"""Query parameters of OGC API Features, parsed strictly.

An unknown one is refused, because a misspelt filter must not return everything.
"""

from __future__ import annotations

import binascii
import math
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass

from django.http import QueryDict

from streaming.core.errors import StreamError
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.presentation import Presentation, compile_presentation
from streaming.engine.conf import conf
from streaming.features.aggregates.spec import AggregateSpec
from streaming.features.source_crs import SourceCrs
from streaming.tiles.grid import MAX_ZOOM

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
PARAMETERS = ("bbox", "center", "radius_m", "datetime", "filter", "filter-lang", "crs", "properties", "versions", "limit", "after")
COUNTED = ("by", "resolution", "properties", "center", "radius_m", "datetime", "filter", "filter-lang")
AGGREGATES = ("by", "resolution", "zoom", *(name for name in PARAMETERS if name != "versions"))
PRESENTATION = ("crs", "properties")
PUBLISHING = ("crs", "trace")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A query for one page: at most `limit` matching features, in the order of their keys, from behind the key `after`."""

    condition: Filter
    presentation: Presentation
    limit: int
    after: str
    versions: bool = False
    """Whether each feature has its version with it, as the member `if_version`."""


@dataclass(frozen=True, slots=True)
class AggregateQuery:
    """A query for one page of cells, which `page` selects; `counted` selects the features that are in them."""

    spec: AggregateSpec
    counted: Filter
    page: PageQuery


def read_query(parameters: QueryDict, time_property: str | None) -> PageQuery:
    """The query of a request. `StreamError` with what is wrong."""
    given = _single(parameters, PARAMETERS)
    return PageQuery(
        condition=_condition(given, time_property),
        presentation=_presentation(given),
        limit=_limit(given.get("limit")),
        after=_after(given),
        versions=_boolean("versions", given.get("versions")),
    )


def read_aggregate_query(parameters: QueryDict, time_property: str | None) -> AggregateQuery:
    """The query of a request for cells. `StreamError` with what is wrong."""
    given = _single(parameters, AGGREGATES)
    box, names = given.pop("bbox", None), given.pop("properties", None)
    page = PageQuery(
        condition=compile_filter(FilterSpec(bbox=None if box is None else _bbox(box))),
        presentation=_presentation(given),
        limit=_limit(given.get("limit")),
        after=_after(given),
    )
    spec = AggregateSpec.check(given.get("by", "h3"), _whole(given, "resolution"), _number(given, "zoom"), _names(names))
    return AggregateQuery(spec, _condition(given, time_property), page)


def read_aggregate_tile_query(parameters: QueryDict, time_property: str | None, zoom: int) -> tuple[AggregateSpec, Filter]:
    """What the cells of a tile of this zoom are, and which features are counted. `StreamError` with what is wrong.

    The resolution is that for a map whose tiles are 512 pixels wide, as vector tiles are.
    """
    given = _single(parameters, COUNTED)
    names, resolution = given.pop("properties", None), _whole(given, "resolution")
    map_zoom = None if resolution is not None else min(zoom + 1, MAX_ZOOM)
    return AggregateSpec.check(given.get("by", "h3"), resolution, map_zoom, _names(names)), _condition(given, time_property)


def _condition(given: dict[str, str], time_property: str | None) -> Filter:
    bbox = given.get("bbox")
    spec = FilterSpec(
        bbox=None if bbox is None else _bbox(bbox),
        center=_numbers(given, "center"),
        radius_m=_radius(given),
        datetime=given.get("datetime"),
        filter=given.get("filter"),
        filter_lang=given.get("filter-lang"),
        time_property=time_property,
    )
    return compile_filter(spec, conf.MAX_POLYGON_VERTICES)


def read_presentation(parameters: QueryDict) -> Presentation:
    """The presentation of one feature. `StreamError`."""
    return _presentation(_single(parameters, PRESENTATION))


def read_source_crs(parameters: QueryDict) -> SourceCrs:
    """The CRS that the features of a body are in. `StreamError`. The first use of a CRS reads a database."""
    return SourceCrs.of(_single(parameters, PUBLISHING).get("crs"))


def after_parameter(key: str) -> str:
    """The value of `after` for the page behind a key."""
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _single(parameters: QueryDict, known: tuple[str, ...]) -> dict[str, str]:
    for name, values in parameters.lists():
        if name not in known:
            raise StreamError("bad_request", f"there is no parameter {name[:40]!r} here, only {', '.join(known)}")
        if len(values) > 1:
            raise StreamError("bad_request", f"{name} is given more than once")
    return parameters.dict()  # type: ignore[return-value]  # no lists in it


def _presentation(given: dict[str, str]) -> Presentation:
    return compile_presentation(given.get("crs"), _names(given.get("properties")))


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _whole(given: dict[str, str], name: str) -> int | None:
    number = _number(given, name)
    if number is not None and not number.is_integer():
        raise StreamError("bad_request", f"{name} must be a whole number")
    return None if number is None else int(number)


def _number(given: dict[str, str], name: str) -> float | None:
    text = given.get(name)
    try:
        number = 0.0 if text is None else float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise StreamError("bad_request", f"{name} must be a number, not {text!r:.40}")
    return None if text is None else number


def _after(given: dict[str, str]) -> str:
    after = given.get("after")
    return "" if after is None else _key_of(after)


def _bbox(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise StreamError("invalid_bbox", f"bbox must be west,south,east,north in degrees, not {text[:80]!r}") from None
    return [numbers[0], numbers[1], numbers[3], numbers[4]] if len(numbers) == 6 else numbers


def _numbers(given: dict[str, str], name: str) -> list[float] | None:
    text = given.get(name)
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise StreamError("invalid_circle", f"{name} must be numbers, not {text!r:.80}") from None


def _radius(given: dict[str, str]) -> float | None:
    numbers = _numbers(given, "radius_m")
    if numbers is not None and len(numbers) != 1:
        raise StreamError("invalid_circle", "radius_m must be one number of metres")
    return None if numbers is None else numbers[0]


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise StreamError("bad_request", f"limit must be a whole number from 1 to {MAX_LIMIT}, not {text[:20]!r}")
    return min(int(text[:9]), MAX_LIMIT)


def _boolean(name: str, text: str | None) -> bool:
    if text not in (None, "true", "false", "1", "0"):
        raise StreamError("bad_request", f"{name} must be true or false, not {text[:20]!r}")
    return text in ("true", "1")


def _key_of(text: str) -> str:
    try:
        return b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise StreamError("invalid_cursor", "after is not one this server gave; follow the link 'next'") from None
