"""`hotspots`: the hexagons of a layer are those that counting its features gives, at all times."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import h3
import pytest
import shapely
from channels.db import database_sync_to_async
from django.utils import timezone

from processes.builtin.cells import geometry_of
from processes.builtin.hotspots import hotspots
from processes.models import Job as JobRow
from processes.worker import BadInput, JobFailed
from streaming.core.redis import sync_redis
from streaming.features.layer_creation import aensure_layer
from streaming.features.publishing import adelete, apublish, delete, publish
from streaming.models import Layer
from tests.geo_peer import point

from .running import JOB, Running, held, running, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closing_redis")]
INPUTS = {"layer": "l", "publish_to": "cells", "resolution": 4, "update_seconds": 0.05}


@pytest.fixture(autouse=True)
def open_names(settings: Any) -> Iterator[None]:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "cells"
    yield


def recount(condition: Any = lambda feature: True) -> dict[str, int]:
    """The count of each cell, by looking at every feature."""
    places = [each["geometry"]["coordinates"] for each in held("l").values() if each["geometry"] and condition(each)]
    return dict(Counter(h3.latlng_to_cell(latitude, longitude, 4) for longitude, latitude in places))


def drawn() -> dict[str, int]:
    return {each["properties"]["cell"]: each["properties"]["count"] for each in held("cells").values() if "cell" in each["properties"]}


async def test_cells_come_change_and_go_as_features_move() -> None:
    await apublish("l", [point(1, 7, 46), point(2, 7, 46), point(3, 60, 10)])
    async with running(hotspots, **INPUTS) as job:
        await until(lambda: sorted(drawn().values()) == [1, 2], job)
        await apublish("l", point(1, 60, 10))
        await until(lambda: sorted(drawn().values()) == [1, 2] and drawn() == recount(), job)
        await adelete("l", 2)
        await until(lambda: list(drawn().values()) == [2], job)
        (feature,) = held("cells").values()
        assert feature["properties"]["layer"] == "l" and shapely.from_geojson(str(feature["geometry"]).replace("'", '"')).contains(
            shapely.Point(60, 10)
        )


@pytest.mark.long_form(only=True)
async def test_a_recount_agrees_whatever_happens() -> None:
    """Features come, move, become others and go, the worker is killed, Redis forgets its log, and everything."""
    numbers = random.Random(1)
    await aensure_layer("l")

    def change() -> None:
        for _ in range(numbers.randrange(1, 40)):
            key = numbers.randrange(60)
            if numbers.random() < 0.25:
                delete("l", key)
            else:
                publish("l", point(key, numbers.choice([7, 7.5, 9, 30]), numbers.choice([46, 46.3, -10]), n=numbers.randrange(3)))

    job: Running | None = None
    for step in range(24):
        if job is None or job.task.done():
            job = Running(hotspots, (job and job.job) or Job(), {**INPUTS, "filter": "n > 0"})
        await database_sync_to_async(change)()
        if step % 7 == 3:
            await job.kill()
            await database_sync_to_async(change)()
            continue
        if step == 20:
            await database_sync_to_async(lambda: sync_redis().delete("geostream:{layer:l}:log"))()
            await database_sync_to_async(change)()
        await until(lambda: drawn() == recount(lambda each: each["properties"]["n"] > 0), job)
    assert job is not None
    await job.kill()


def Job() -> Any:  # as the class
    from processes.worker import Job

    return Job(JOB)


async def test_other_shapes_than_points_count_where_they_are_for_certain() -> None:
    line = {"type": "Feature", "id": 1, "geometry": {"type": "LineString", "coordinates": [[7, 46], [7.001, 46]]}, "properties": {}}
    await apublish("l", [line, {**line, "id": 2, "geometry": None}])
    async with running(hotspots, **INPUTS) as job:
        await until(lambda: list(drawn().values()) == [1], job)


async def test_when_it_is_dismissed_its_cells_go_and_others_stay() -> None:
    await apublish("l", point(1, 7, 46))
    await apublish("cells", point("mine", 0, 0))
    async with running(hotspots, **INPUTS) as job:
        await until(lambda: len(held("cells")) == 2, job)
        await job.dismiss()
    assert list(await database_sync_to_async(held)("cells")) == ["mine"]


async def test_what_a_job_has_left_behind_goes() -> None:
    """Its worker was killed, and then it was dismissed. One that is still active keeps its cells."""
    await apublish("l", point(1, 7, 46))
    others = {}
    for status, id in (("dismissed", "2b4e28ba-2fa1-41d2-883f-0016d3cca427"), ("running", "3b4e28ba-2fa1-41d2-883f-0016d3cca427")):
        await JobRow.objects.acreate(id=id, process_identifier="hotspots", status=status, created=timezone.now(), updated=timezone.now())
        async with running(hotspots, id, **INPUTS) as job:
            await until(lambda id=id: any(str(key).startswith(id[:8]) for key in held("cells")), job)
            others[status] = id[:8]
    async with running(hotspots, **INPUTS) as job:
        await until(lambda: {str(key)[:8] for key in held("cells")} == {JOB[:8], others["running"]}, job)


async def test_it_ends_when_its_user_may_not_read_the_layer_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processes.builtin.continuous.REVIEW_SECONDS", 0.0)
    await apublish("l", point(1, 7, 46))
    async with running(hotspots, **INPUTS) as job:
        await until(lambda: bool(held("cells")), job)
        await database_sync_to_async(lambda: Layer.objects.filter(name="l").update(public=False))()
        with pytest.raises(JobFailed, match="no layer 'l'"):
            await job.task
    assert await database_sync_to_async(held)("cells") == {}


async def test_what_may_not_be_is_refused_at_once() -> None:
    await apublish("l", point(1, 7, 46))
    wrong = [{"layer": "unknown"}, {"filter": "n >"}, {"publish_to": "a/b"}, {"publish_to": "l"}]
    for inputs, error in (({"publish_to": "elsewhere"}, JobFailed), *((each, BadInput) for each in wrong)):
        async with running(hotspots, **{**INPUTS, **inputs}) as job:
            with pytest.raises(error):
                await job.task


async def test_a_layer_that_is_full_is_a_failure() -> None:
    await Layer.objects.acreate(name="cells", max_features=1)
    await apublish("l", [point(1, 7, 46), point(2, 60, 10)])
    async with running(hotspots, **INPUTS) as job:
        with pytest.raises(JobFailed, match="as many features as it may"):
            await job.task


@pytest.mark.parametrize("resolution", [0, 1, 5])
@pytest.mark.parametrize("place", [(0, 0), (0, 180), (52, -179.99), (90, 0), (-90, 0), (89, 120)])
def test_cells_are_areas_wherever_they_are(place: tuple[float, float], resolution: int) -> None:
    cell = h3.latlng_to_cell(*place, resolution)
    area = shapely.geometry.shape(geometry_of(cell))
    assert area.is_valid and shapely.box(-180, -90, 180, 90).covers(area)
    assert area.buffer(1e-9).intersects(shapely.Point(place[1], place[0]))
    from pyproj import Geod

    size = abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(area))[0])
    assert size == pytest.approx(h3.cell_area(cell, "m^2"), rel=0.01)
