"""Coordinate reference systems by what clients write."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest

from streaming.core.errors import StreamError
from streaming.dialects.redis_commands.geojson import crs as crs_module
from streaming.dialects.redis_commands.geojson.crs import MAX_LOOKUPS, WGS84, Crs, CrsCatalogue, build


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lookups that take until the event is set."""
    done = threading.Event()

    def held(code: int) -> Crs | str:
        done.wait(10)
        return Crs(code, False) if code < 100_000 else "does not exist"

    monkeypatch.setattr(crs_module, "build", held)
    monkeypatch.setattr(crs_module, "MAX_CACHED_CRS", 50)
    monkeypatch.setattr(crs_module, "MAX_FOUND", 40)
    yield done
    done.set()


async def code_of(catalogue: CrsCatalogue, text: str) -> str:
    with pytest.raises(StreamError) as caught:
        await catalogue.find(text)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "epsg:3857",
        "EPSG:3857",
        "urn:ogc:def:crs:EPSG::3857",
        "http://www.opengis.net/def/crs/EPSG/0/3857",
        "https://www.opengis.net/def/crs/EPSG/0/3857",
    ],
)
async def test_every_form_of_a_code(text: str) -> None:
    assert await CrsCatalogue().find(text) == Crs(3857, False)


@pytest.mark.parametrize("text", ["EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84"])
async def test_wgs84_needs_no_lookup(text: str) -> None:
    assert await CrsCatalogue().find(text) is WGS84


@pytest.mark.parametrize("text", ["epsg:999999", "nonsense", "WGS", "+proj", "", "epsg:5773", "EPSG:4978", "epsg:" + "9" * 400])
async def test_what_is_no_crs_of_a_map_is_refused(text: str) -> None:
    assert await code_of(CrsCatalogue(), text) == "invalid_crs"


@pytest.mark.parametrize(("text", "geographic"), [("epsg:4258", True), ("epsg:2056", False)])
async def test_it_is_known_whether_coordinates_are_degrees(text: str, geographic: bool) -> None:
    assert (await CrsCatalogue().find(text)).geographic is geographic


async def test_the_transformer_outlives_the_thread_that_built_it() -> None:
    found = await CrsCatalogue().find("epsg:2056")
    gc.collect()
    assert found.transformer is not None
    assert found.transformer.transform(7.45, 46.95) == pytest.approx((2600865.384622794, 1199879.6808325122))


async def test_what_is_known_is_answered_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = CrsCatalogue()
    found = await catalogue.find("epsg:3857")
    await code_of(catalogue, "epsg:999999")
    monkeypatch.setattr(crs_module, "build", None)
    assert await catalogue.find("EPSG:3857") is found
    assert await code_of(catalogue, "epsg:999999") == "invalid_crs"


async def test_one_lookup_serves_all_clients_that_wait_for_it(slow: threading.Event) -> None:
    catalogue = CrsCatalogue()
    asking = [asyncio.create_task(catalogue.find("epsg:3857")) for _ in range(MAX_LOOKUPS + 10)]
    await asyncio.sleep(0)
    slow.set()
    assert {id(found) for found in await asyncio.gather(*asking)} == {id(await catalogue.find("epsg:3857"))}


async def test_a_lookup_may_not_take_long_but_is_remembered(slow: threading.Event) -> None:
    catalogue = CrsCatalogue(seconds=0.01)
    assert await code_of(catalogue, "epsg:3857") == "rate_limited"
    (lookup,) = catalogue._lookups.values()
    slow.set()
    await asyncio.wrap_future(lookup)
    assert await catalogue.find("epsg:3857") == Crs(3857, False)


async def test_many_lookups_at_once_are_refused(slow: threading.Event) -> None:
    catalogue = CrsCatalogue()
    asking = [asyncio.create_task(catalogue.find(f"epsg:{2000 + number}")) for number in range(MAX_LOOKUPS)]
    await asyncio.sleep(0)
    assert await code_of(catalogue, "epsg:3857") == "rate_limited"
    slow.set()
    assert [found.code for found in await asyncio.gather(*asking)] == [2000 + number for number in range(MAX_LOOKUPS)]


async def test_misses_displace_no_hits_and_both_are_bounded(slow: threading.Event) -> None:
    slow.set()
    catalogue = CrsCatalogue()
    hit = await catalogue.find("epsg:3857")
    for number in range(60):
        await code_of(catalogue, f"epsg:{100_000 + number}")
    assert await catalogue.find("epsg:3857") is hit
    assert len(catalogue._missing) == 50


async def test_a_crs_in_use_is_not_the_one_forgotten(slow: threading.Event) -> None:
    slow.set()
    catalogue = CrsCatalogue()
    used = await catalogue.find("epsg:3857")
    for number in range(60):
        await catalogue.find(f"epsg:{2000 + number}")
        assert await catalogue.find("epsg:3857") is used
    assert len(catalogue._found) == 40


def test_the_reason_why_there_is_none_is_given() -> None:
    assert build(5773) == "EPSG:5773 is not a horizontal coordinate reference system"
