"""Layers as clients read them: in their box, no more than the limit, and only what they may read."""

from __future__ import annotations

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings

from streaming.core.items import Item
from streaming.dialects.redis_commands.answers import Answers
from streaming.dialects.redis_commands.geojson.client_filters import ClientFilters
from streaming.dialects.redis_commands.layer_reader import LayerReader
from streaming.engine.runtime import Runtime
from streaming.engine.work import WorkQueue
from streaming.features.publishing import aensure_layer, apublish

from .documents import MERCATOR
from .layer_scene import ANONYMOUS, feature, make_private, reader


@pytest.fixture
async def layers(runtime: Runtime) -> LayerReader:
    """There is a layer `fleet`, which anybody may read."""
    await aensure_layer("fleet")
    return LayerReader(runtime.hub)


@pytest.fixture
def answers(runtime: Runtime) -> Answers:
    return Answers(runtime.service(WorkQueue))


async def read(layers: LayerReader) -> list[str | int]:
    pages = [page async for page in layers.features("fleet")]
    return [Item("", value, 0).feature["id"] for page in pages for value in page]


async def sent(layers: LayerReader, answers: Answers, filters: ClientFilters | None = None) -> list[str | int]:
    sight = (filters or ClientFilters()).sight
    pages = [page async for page in answers.all(layers.features("fleet", sight.area), sight, "client")]
    return [Item("", value, 0).feature["id"] for page in pages for value in page]


async def test_what_is_a_layer_and_what_is_not(layers: LayerReader) -> None:
    assert await layers.has("fleet") and not await layers.has("pub:fleet")


async def test_a_private_layer_is_for_those_who_may_read_it(layers: LayerReader) -> None:
    assert await layers.readable_by("fleet", ANONYMOUS)
    await make_private()
    assert not await layers.readable_by("fleet", ANONYMOUS)
    assert await layers.readable_by("fleet", await reader())
    assert not await layers.readable_by("no-such-layer", await database_sync_to_async(User.objects.create_superuser)("root"))


async def test_a_feature_is_read_by_its_id_whether_text_or_integer(layers: LayerReader) -> None:
    await apublish("fleet", [feature("a b", 1), feature(7, 2), feature("8", 3), feature(8, 4)])
    found = {text: await layers.feature("fleet", text) for text in ("a b", "7", '"7"', "8", "none", "")}
    assert {text: value and Item("", value, 0).feature["geometry"]["coordinates"][0] for text, value in found.items()} == {
        "a b": 1,
        "7": 2,
        '"7"': None,
        "8": 3,
        "none": None,
        "": None,
    }


async def test_what_was_just_published_is_read(layers: LayerReader) -> None:
    for number in range(20):
        await apublish("fleet", feature(number, number))
        assert number in await read(layers)


async def test_no_more_than_the_limit_is_sent_and_that_is_counted(layers: LayerReader, answers: Answers, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_VALUES = 1200
    await apublish("fleet", [feature(number, 0) for number in range(1200)])
    assert len(await sent(layers, answers)) == 1200 and answers.capped == 0
    await apublish("fleet", feature("one more", 0))
    assert len(await sent(layers, answers)) == 1200 and answers.capped == 1


@pytest.mark.parametrize("crs", [4326, 3857])
async def test_features_outside_the_box_do_not_count_against_the_limit(
    layers: LayerReader, answers: Answers, settings: Settings, crs: int
) -> None:
    settings.GEOSTREAM_REDIS_VALUES = 3
    await apublish("fleet", [*(feature(number, 50) for number in range(30)), feature("in", 1), {**feature("nowhere", 0), "geometry": None}])
    filters = ClientFilters()
    if crs == 3857:
        filters.set_box((0, -100_000, 200_000, 100_000), MERCATOR)
    else:
        filters.set_box((0, -1, 2, 1))
    assert sorted(map(str, await sent(layers, answers, filters))) == ["in", "nowhere"]
