"""What the map has under the features."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from ..server_process import ServerProcess
from .map_page import MapPage

PIXELS = """(pane) => {
  const canvas = document.querySelector(`.leaflet-${pane}-pane canvas`);
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  return {canvas, data: copy.getImageData(0, 0, canvas.width, canvas.height).data};
}"""
COLOUR = f"""([pane, lon, lat]) => {{
  const {{canvas, data}} = ({PIXELS})(pane);
  const box = canvas.getBoundingClientRect();
  const {{x, y}} = geostream.map.latLngToContainerPoint([lat, lon]);
  const [column, row] = [(x - box.left) * canvas.width / box.width, (y - box.top) * canvas.height / box.height].map(Math.round);
  return [...data.slice((row * canvas.width + column) * 4, (row * canvas.width + column) * 4 + 4)].join();
}}"""
INK = f"(pane) => ({PIXELS})(pane).data.reduce((sum, value, place) => sum + (place % 4 === 3 && value > 0), 0)"
OCEAN, LAND = "10,19,34,255", "22,36,62,255"


def colour(live: MapPage, lon: float, lat: float) -> str:
    found: str = live.page.evaluate(COLOUR, ["base", lon, lat])
    return found


def test_switzerland_has_its_lakes(live: MapPage) -> None:
    live.show(9, 46.45, 6.9)
    live.wait_for(lambda: colour(live, 6.75, 46.7) == LAND)
    assert colour(live, 6.55, 46.43) == OCEAN


def test_borders_and_names_are_above_the_imagery(live: MapPage) -> None:
    live.show(7, 46.8, 8.0)
    live.wait_for(lambda: live.page.evaluate(INK, "names") > 5_000)


def test_the_world_goes_on_beyond_the_antimeridian(live: MapPage) -> None:
    live.show(3, 0, 178)
    live.wait_for(lambda: colour(live, 190 + 30, 64) == LAND and colour(live, 140, -25) == LAND)


@pytest.mark.long_form(only=True)
def test_a_server_may_name_raster_tiles_instead(live_site: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    """The page is told so by the server; here, its configuration is changed on the way."""

    def other(route: Route) -> None:
        answer = route.fetch()
        found = answer.text().replace('"raster": null', '"raster": "/favicon.ico?{z}/{x}/{y}"')
        route.fulfill(response=answer, body=found)

    live = open_map(live_site)
    live.page.route(f"{live_site.url}/", other)
    live.reload()
    live.wait("() => document.querySelectorAll('.leaflet-base-pane img.leaflet-tile-loaded').length > 3")
