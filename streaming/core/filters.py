"""Filters: space x time x attributes, compiled once into closures, and shared by all views that ask for the same.

A filter is asked for every change that its index lets through, so what can be decided is decided when it is compiled: a filter of a box
is one function with four comparisons. Its key is canonical: views whose filters have equal keys form one audience.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from streaming.core.attributes import canonical_pairs, join, pairs_condition
from streaming.core.bbox import Box
from streaming.core.circle import compile_circle
from streaming.core.datetimes import Interval, microseconds, parse_interval
from streaming.core.expressions import Expression, compile_expression
from streaming.core.items import Item
from streaming.core.spatial import Region, circle_region, compile_bbox, compile_geometry, intersect_boxes

Predicate = Callable[[Item], bool]

MAX_VERTICES = 10_000


@dataclass(frozen=True)
class FilterSpec:
    """What a client asked for, of the right JSON types but not yet understood. None: no such condition."""

    bbox: Sequence[float] | None = None
    geometry: dict[str, Any] | None = None
    filters: Sequence[tuple[str, str]] | None = None
    datetime: str | None = None
    filter: str | dict[str, Any] | None = None
    filter_lang: str | None = None
    time_property: str | None = None
    center: Sequence[float] | None = None
    radius_m: float | None = None


class Filter:
    """A compiled FilterSpec. Features outside all of `boxes` never match (None: no such bounds, empty: nothing matches).

    `costly`: judging an item may take a millisecond rather than a microsecond. `plain`: what touches one of `boxes` matches.
    """

    __slots__ = ("boxes", "costly", "key", "matches", "plain")

    def __init__(self, key: Hashable, boxes: tuple[Box, ...] | None, matches: Predicate, costly: bool = False, plain: bool = False) -> None:
        self.key = key
        self.costly = costly
        self.plain = plain
        self.boxes = boxes
        self.matches = matches


def compile_filter(spec: FilterSpec, max_vertices: int = MAX_VERTICES) -> Filter:
    """StreamError invalid_bbox, invalid_geometry, invalid_circle, invalid_datetime or invalid_filter, with what is wrong and where."""
    regions = _regions(spec, max_vertices)
    pairs = canonical_pairs(spec.filters)
    interval = None if spec.datetime is None else parse_interval(spec.datetime)
    expression = None if spec.filter is None else compile_expression(spec.filter, spec.filter_lang)
    predicates: list[Predicate] = [region.matches for region in regions]
    if interval is not None:
        predicates.append(_during(interval, spec.time_property))
    if pairs:
        predicates.append(_on_properties(pairs_condition(pairs)))
    if expression is not None:
        predicates.append(_on_feature(expression))
    key = (
        tuple(region.key for region in regions),
        None if interval is None else (interval, spec.time_property),
        pairs,
        expression and expression.text,
    )
    bounds = [region.boxes for region in regions]
    if expression is not None and expression.boxes is not None:
        bounds.append(expression.boxes)
    costly = expression is not None or spec.geometry is not None or spec.center is not None
    return Filter(
        key, reduce(intersect_boxes, bounds) if bounds else None, join(predicates), costly, spec.bbox is not None and len(predicates) == 1
    )


def _regions(spec: FilterSpec, max_vertices: int) -> list[Region]:
    regions = []
    if spec.bbox is not None:
        regions.append(compile_bbox(spec.bbox))
    if spec.geometry is not None:
        regions.append(compile_geometry(spec.geometry, max_vertices))
    if spec.center is not None or spec.radius_m is not None:
        regions.append(circle_region(compile_circle(spec.center, spec.radius_m)))
    return regions


def _during(interval: Interval, time_property: str | None) -> Predicate:
    first, last = interval
    if time_property is None:
        return lambda item: first <= item.arrived * 1000 <= last
    form = ("time", time_property)

    def matches(item: Item) -> bool:
        time = item.forms.get(form, form)
        if time is form:
            time = item.forms[form] = microseconds(item.properties.get(time_property))
        return time is not None and first <= time <= last

    return matches


def _on_properties(condition: Callable[[dict[str, Any]], bool]) -> Predicate:
    return lambda item: condition(item.properties)


def _on_feature(expression: Expression) -> Predicate:
    """A property of the feature goes before the members `id` and `geometry` of the same name, but not in spatial functions."""
    names, matches, places = expression.names, expression.matches, expression.places

    def on_feature(item: Item) -> bool:
        feature = item.feature
        properties = feature.get("properties") or {}
        members = {name: properties[name] for name in names if name in properties}
        for name in outside:
            if name in feature and (name not in members or name in places):
                members[name] = feature[name]
        return matches(members)

    outside = tuple(name for name in names if name in ("id", "geometry", "properties"))
    return on_feature
