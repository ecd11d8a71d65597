"""Boxes and projections together, and the recorded sessions that use them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from streaming.core.projection import epsg_code
from streaming.dialects.redis_commands.geojson.client_filters import ClientFilters
from streaming.dialects.redis_commands.geojson.crs import WGS84, Crs
from streaming.dialects.redis_commands.geojson.values import Value
from streaming.dialects.redis_commands.grammar import Bbox, Command, Hello, Projection, Read, Subscription, parse
from tests.dialects.redis_commands.documents import (
    MERCATOR,
    SWISS,
    boxed,
    collection,
    crs,
    feature,
    near,
    point,
    strictly,
    value,
)
from tests.dialects.redis_commands.vectors import CASES, expected


def test_a_box_before_the_projection_is_in_degrees() -> None:
    filters = boxed((0.0, 3.0, 1.0, 4.0))
    filters.set_projection(MERCATOR)
    assert filters.passes(value(point(0.1, 3.5)))


def test_a_box_after_the_projection_is_in_metres_until_that_is_cleared() -> None:
    filters = ClientFilters()
    filters.set_projection(MERCATOR)
    filters.set_box((0.0, 3.0, 1.0, 4.0))
    assert not filters.passes(value(point(0.1, 3.5)))
    filters.clear_projection()
    assert filters.passes(value(point(0.1, 3.5)))


def test_another_projection_gives_the_box_another_meaning() -> None:
    filters = ClientFilters()
    filters.set_projection(MERCATOR)
    filters.set_box((829000.0, 5933000.0, 830000.0, 5934000.0))
    assert filters.passes(value(point(7.45, 46.95)))
    filters.set_projection(SWISS)
    assert not filters.passes(value(point(7.45, 46.95)))


def test_changing_keeps_the_place_and_clearing_gives_it_up() -> None:
    filters = boxed((50.0, 50.0, 60.0, 60.0))
    filters.set_projection(MERCATOR)
    filters.set_box((0.0, 3.0, 1.0, 4.0))
    assert filters.passes(value(point(0.1, 3.5)))
    filters.clear_box()
    filters.set_box((0.0, 3.0, 1.0, 4.0))
    assert not filters.passes(value(point(0.1, 3.5)))


def test_a_projection_switched_on_again_comes_after_the_box() -> None:
    filters = ClientFilters()
    filters.set_projection(MERCATOR)
    filters.set_box((0.0, 3.0, 1.0, 4.0))
    filters.clear_projection()
    filters.set_projection(MERCATOR)
    assert filters.passes(value(point(0.1, 3.5)))


def test_wgs84_is_a_projection_with_a_place() -> None:
    filters = ClientFilters()
    filters.set_projection(WGS84)
    filters.set_box((0.0, 300000.0, 20000.0, 400000.0))
    filters.set_projection(MERCATOR)
    assert filters.passes(value(point(0.1, 3.5)))


def test_a_box_with_a_crs_depends_on_no_order() -> None:
    filters = ClientFilters()
    filters.set_projection(MERCATOR)
    filters.set_box((0.0, 3.0, 1.0, 4.0), WGS84)
    assert filters.passes(value(point(0.1, 3.5)))
    filters.set_box((0.0, 3.0, 1.0, 4.0))
    assert not filters.passes(value(point(0.1, 3.5)))


def test_clearing_all_lets_everything_pass_as_it_came() -> None:
    filters = boxed()
    filters.set_projection(MERCATOR)
    filters.clear()
    outside = value(point(99, 9))
    assert filters.passes(outside)
    assert filters.content(outside) is outside.text


def test_a_value_asked_for_by_name_is_projected_and_not_trimmed() -> None:
    filters = boxed()
    filters.set_projection(MERCATOR)
    filters.trim = True
    assert len(json.loads(filters.whole(value(collection(point(99, 9), point(2, 3)))))["features"]) == 2


def test_a_collection_is_sent_whole_or_trimmed() -> None:
    document = collection(point(0.1, 3.5), point(2, 3), feature(None), name="all")
    filters = boxed()
    assert strictly(filters.content(value(document))) == document
    filters.trim = True
    assert strictly(filters.content(value(document))) == collection(point(2, 3), feature(None), name="all")


def test_what_is_trimmed_is_projected_too() -> None:
    filters = boxed()
    filters.set_projection(MERCATOR)
    filters.trim = True
    (made,) = strictly(filters.content(value(collection(point(99, 9), point(2, 3)))))["features"]
    assert made["geometry"]["coordinates"] == near([222638.98158654713, 334111.1714019596])


def test_nothing_to_trim_shares_the_bytes_of_all() -> None:
    filters = boxed()
    filters.trim = True
    for document in (collection(point(2, 3)), point(2, 3), {"a": 1}):
        one = value(document)
        assert filters.content(one) is one.text


def test_equal_trims_share_their_bytes() -> None:
    one, other = boxed(), boxed((1.5, 2.0, 3.0, 4.0))
    one.trim = other.trim = True
    shared = value(collection(point(99, 9), point(2, 3)))
    assert one.content(shared) is other.content(shared)


class Replay:
    """What a session does with values, and nothing else: its filters, what it follows, what Redis holds."""

    def __init__(self, stored: dict[tuple[str, str], str]) -> None:
        self.stored = stored
        self.followed: set[str] = set()
        self.filters = ClientFilters()

    def frames(self, step: dict[str, Any]) -> list[tuple[str, Any]]:
        """Source and content of each."""
        if "publish" in step:
            name, text = step["publish"]
            return [] if name not in self.followed else [(name, content) for content in self.passing([text])]
        return self.obey(parse(step["send"]))

    def obey(self, command: Command) -> list[tuple[str, Any]]:
        match command:
            case Subscription("SUB", name):
                self.followed.add(name)
            case Bbox(None):
                self.filters.clear_box()
            case Bbox(box, meant) if box:
                self.filters.set_box(box, None if meant is None else named(meant))
            case Projection():
                self.project(command)
            case Hello(trim=trim):
                self.filters.trim = trim
            case Read("GET", name, None):
                texts = [text for (key, _), text in self.stored.items() if key == name]
                return [(name, content) for content in self.passing(texts) or [None]]
            case Read(verb, name, field) if field:
                found = Value(self.stored[name, field].encode())
                filters = self.filters if verb == "GET" else ClientFilters()
                if verb == "PGET" and command.crs:
                    filters.set_projection(named(command.crs))
                return [(f"{name} {field}", strictly(filters.whole(found)))]
            case Read("PGET", name, None):
                return [(name, json.loads(text)) for (key, _), text in self.stored.items() if key == name]
        return []

    def project(self, command: Projection) -> None:
        if command.off:
            self.filters.clear_projection()
        elif command.crs != "epsg:999999":
            self.filters.set_projection(named(command.crs))

    def passing(self, texts: list[str]) -> list[Any]:
        values = [Value(text.encode()) for text in texts]
        return [strictly(self.filters.content(one)) for one in values if self.filters.passes(one)]


def named(text: str) -> Crs:
    code = epsg_code(text)
    return WGS84 if code == WGS84.code else crs(code)


def about_geography(case: dict[str, Any]) -> bool:
    if case["id"] in ("bbox-nan", "ext-errors-opt-in"):  # All of it is that commands are refused.
        return False
    return any(
        step.get("send", "").startswith(("BBOX ", "PROJECTION e", "PROJECTION E", "PROJECTION u", "PGET ")) for step in case["steps"]
    ) and (case.get("group") not in ("errors", "hello"))


def alike(found: Any, wanted: Any) -> bool:
    """Equal, numbers to nine digits."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(alike(found[name], wanted[name]) for name in wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(alike, found, wanted))
    if isinstance(found, float) and isinstance(wanted, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == wanted)


GEOGRAPHIC = [pytest.param(case, id=case["id"]) for case in CASES if about_geography(case)]


@pytest.mark.parametrize("case", GEOGRAPHIC)
def test_recorded_sessions(case: dict[str, Any]) -> None:
    replay = Replay({(entry["hset"][0], entry["hset"][1]): entry["hset"][2] for entry in case["setup"]})
    for step in case["steps"]:
        if step.get("send") == "PING":
            continue
        found = replay.frames(step)
        wanted = [
            (frame["source"], frame["content"]) for frame in expected(step) if frame["content"] not in ({"status": "hello", "version": 2},)
        ]
        assert len(found) == len(wanted)
        for source, content in wanted:
            assert any(source == name and alike(one, content) for name, one in found)


def test_most_recorded_sessions_are_about_geography() -> None:
    assert len(GEOGRAPHIC) > 50
