"""Imagery on the live map: it is the file's, it comes over the socket and nothing else, and it changes while one looks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Request, expect

import streaming
from streaming.tiles.sources.raster import RasterSource

from ..processes import manage
from ..server_process import ServerProcess
from ..tiles.conftest import plain, write_raster
from .conftest import MAP
from .map_page import PHONE, MapPage

RELIEF = Path(streaming.__file__).parent / "demo" / "relief.tif"
WORLD = "map=2/30/8&tiles=relief"
PAINT = """
from pathlib import Path
from streaming.tiles.imagery import paint_sync
from streaming.tiles.tilesets import tilesets
paint_sync(tilesets.get_sync("relief"), Path({path!r}))
"""
LAYER = "Object.values(geostream.map._layers).find(({tileset}) => tileset === 'relief')"
DIGESTS = f"""async () => {{
  const found = {{}};
  for (const {{coords: {{x, y, z}}, el}} of Object.values({LAYER}._tiles)) {{
    const copy = new OffscreenCanvas(el.width, el.height).getContext('2d', {{willReadFrequently: true}});
    copy.drawImage(el, 0, 0);
    const {{data}} = copy.getImageData(0, 0, el.width, el.height);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
    const column = ((x % 2 ** z) + 2 ** z) % 2 ** z;
    found[`${{z}}/${{column}}/${{y}}`] = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }}
  return found;
}}"""


class Imagery(MapPage):
    """A map that shows the relief."""

    requests: list[str]

    def watch(self) -> None:
        self.requests = []
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)

    def wait_until_shown(self) -> None:
        self.wait("() => geostream.imagery.subscriptions.relief?.ready")

    def shown(self) -> dict[str, str]:
        """The SHA-256 of the pixels of each canvas, by z/x/y."""
        found: dict[str, str] = self.page.evaluate(DIGESTS)
        return found

    def stats(self) -> dict[str, int]:
        found: dict[str, int] = self.page.evaluate("geostream.imagery.subscriptions.relief.stats")
        return found


def rendered(places: dict[str, Any], *files: Path) -> dict[str, str]:
    """The same of a rendering of these files, later ones on top."""
    source = RasterSource(files)
    found = {}
    for place in places:
        z, x, y = map(int, place.split("/"))
        pixels = source.pixels(z, x, y)
        assert pixels is not None, place
        found[place] = hashlib.sha256(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)).tobytes()).hexdigest()
    source.close()
    return found


def add(server: ServerProcess, name: str, source: Path | str, **settings: object) -> None:
    """Add a tileset, or replace the one of this name."""
    server.request("DELETE", f"/api/tilesets/{name}/")
    status, answer = server.post("/api/tilesets/", {"name": name, "source": str(source), **settings})
    assert status == 201, answer


def paint(server: ServerProcess, *images: Path) -> None:
    for image in images:
        status, answer = server.request("POST", "/api/tilesets/relief/imagery", image.read_bytes(), "image/tiff")
        assert status == 201, answer


def paint_beside(server: ServerProcess, image: Path) -> None:
    """Paint from a process beside the server, which need not run."""
    manage("shell", "-v", "0", "-c", PAINT.format(path=str(image)), env=server.environment)


@pytest.fixture
def relief(site: ServerProcess) -> ServerProcess:
    """A server whose only tileset is the relief."""
    add(site, "relief", RELIEF, kind="raster", title="Relief", attribution='Painted by <a href="//x">Us</a>')
    return site


@pytest.fixture
def open_imagery(new_context: Callable[..., BrowserContext]) -> Callable[..., Imagery]:
    def open_(server: ServerProcess, address: str = WORLD, **options: Any) -> Imagery:
        live = Imagery(new_context(**{"viewport": MAP, **options}).new_page())
        live.watch()
        live.open(f"{server.url}/#{address}")
        return live

    return open_


@pytest.fixture
def detailed(site: ServerProcess) -> tuple[ServerProcess, Path]:
    """A server whose only tileset is called relief, but has more zooms."""
    down, across = np.mgrid[0:1024, 0:2048].astype(np.uint16)
    pixels = np.stack([across // 9, down // 5, (across // 32 ^ down // 32) * 5]).astype(np.uint8)
    file = write_raster(site.data_dir / "detailed.tif", pixels, (-180, -90, 180, 90), compress="deflate")
    add(site, "relief", file, kind="raster", max_zoom=4)
    return site, file


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    """What is painted: a small part of the Alps, in one colour."""
    return write_raster(tmp_path / "patch.tif", plain(250, 20, 90), (7.0, 46.0, 9.0, 47.5))


def test_the_map_shows_the_file_and_what_is_painted_over_it_without_any_request_for_tiles(
    relief: ServerProcess, open_imagery: Callable[..., Imagery], patch: Path, screenshot: Callable[..., None]
) -> None:
    live = open_imagery(relief)
    live.wait_until_shown()
    before = live.shown()
    assert len(before) >= 12
    assert before == rendered(before, RELIEF)
    screenshot(live, "relief")

    paint_beside(relief, patch)
    painted = rendered(before, RELIEF, patch)
    assert 0 < sum(painted[place] != before[place] for place in before) < len(before)
    live.wait_for(lambda: live.shown() == painted)
    screenshot(live, "painted")
    assert live.stats()["deltas"] == live.stats()["tiles"] - live.page.evaluate("geostream.imagery.subscriptions.relief.tiles.size") > 0
    assert not [url for url in live.requests if "/tiles/" in url]
    live.check()


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize("encoding", ["patch+webp", "xor+zstd"])
def test_each_pixel_delta_paints_what_the_server_renders(
    relief: ServerProcess, open_imagery: Callable[..., Imagery], patch: Path, encoding: str
) -> None:
    live = open_imagery(relief, "map=2/30/8")
    live.page.evaluate(
        """(encoding) => {
          const subscribe = geostream.client.subscribeTiles.bind(geostream.client);
          geostream.client.subscribeTiles = (options) => subscribe({...options, delta: [encoding]});
        }""",
        encoding,
    )
    live.by_id("tiles-relief-toggle").check()
    live.wait_until_shown()
    before = live.shown()
    paint(relief, patch)
    painted = rendered(before, RELIEF, patch)
    live.wait_for(lambda: live.shown() == painted)
    encodings = {message.get("encoding") for message in live.received if message["type"] == "tile_data"}
    assert encodings == {None, encoding}
    live.check()


@pytest.mark.long_form(only=True)
def test_after_many_changes_in_a_row_the_map_is_as_the_file(
    relief: ServerProcess, open_imagery: Callable[..., Imagery], tmp_path: Path
) -> None:
    noise = np.random.default_rng(3)
    images = []
    for number in range(6):
        west, south = noise.uniform(-60, 60), noise.uniform(-40, 50)
        pixels = noise.integers(0, 255, (4, 40, 40), np.uint8)
        pixels[3] = np.where(pixels[3] > 100, 255, 0)  # full of holes
        images.append(write_raster(tmp_path / f"strip-{number}.tif", pixels, (west, south, west + 30, south + 20)))
    live = open_imagery(relief)
    live.wait_until_shown()
    before = live.shown()
    paint(relief, *images)
    painted = rendered(before, RELIEF, *images)
    live.wait_for(lambda: live.shown() == painted)
    assert live.stats()["deltas"] > 0
    live.check()


@pytest.mark.long_form(only=True)
@pytest.mark.timeout(120)  # a server that starts again, a command beside it, and a page that waits longer after each attempt
def test_after_a_restart_only_what_was_painted_meanwhile_is_sent(
    relief: ServerProcess, open_imagery: Callable[..., Imagery], patch: Path
) -> None:
    live = open_imagery(relief)
    live.wait_until_shown()
    before = live.shown()
    answers = len(live.received)
    with live.offline():
        relief.kill()
        expect(live.by_id("connection-state")).to_have_attribute("data-state", "reconnecting")
        paint_beside(relief, patch)
        relief.start()
        live.wait_for(lambda: live.state == "open", within=60)
    painted = rendered(before, RELIEF, patch)
    live.wait_for(lambda: live.shown() == painted)
    live.wait_until_shown()
    sent = [message["tile"] for message in live.received[answers:] if message["type"] == "tile_data"]
    changed = {place for place in before if painted[place] != before[place]}
    assert changed <= {f"{z}/{x}/{y}" for x, y, z in sent}
    assert len(sent) <= len(changed) + 4  # and those just outside of the map
    live.check()


@pytest.mark.long_form(only=True)
def test_the_map_is_followed_and_what_left_it_is_not_kept(
    detailed: tuple[ServerProcess, Path], open_imagery: Callable[..., Imagery]
) -> None:
    server, file = detailed
    live = open_imagery(server, "map=4/46.8/8.0&tiles=relief")
    live.wait_until_shown()
    for move in ("setZoom(2.75, {animate: false})", "panBy([700, 100], {animate: false})", "setView([0, 179], 3.25, {animate: false})"):
        live.move(move)
        live.wait_until_shown()
        shown = live.shown()
        assert shown == rendered(shown, file)
        held = live.page.evaluate("[...geostream.imagery.subscriptions.relief.tiles.values()].map(({z, x, y}) => `${z}/${x}/${y}`)")
        assert shown.keys() <= set(held)
        assert {place.split("/")[0] for place in held} == {place.split("/")[0] for place in shown}
    live.check()


@pytest.mark.long_form(only=True)
def test_beyond_the_last_zoom_its_tiles_are_shown_larger(relief: ServerProcess, open_imagery: Callable[..., Imagery]) -> None:
    status, info = relief.request("GET", "/api/tilesets/relief/")
    assert status == 200
    live = open_imagery(relief, "map=12/46.8/8.0&tiles=relief")
    live.wait_until_shown()
    live.wait(f"() => {LAYER}._tileZoom === {info['max_zoom']}")
    live.wait_until_shown()
    shown = live.shown()
    assert shown and shown == rendered(shown, RELIEF)
    live.check()


@pytest.mark.long_form(only=True)
def test_a_map_that_opens_between_two_zooms_shows_the_tiles_of_the_nearer_one(
    detailed: tuple[ServerProcess, Path], open_imagery: Callable[..., Imagery]
) -> None:
    server, file = detailed
    live = open_imagery(server, "map=3.25/46.8/8.0&tiles=relief")
    live.wait_until_shown()
    shown = live.shown()
    assert {place.split("/")[0] for place in shown} == {"3"}
    assert shown == rendered(shown, file)
    live.check()


@pytest.mark.long_form(only=True)
def test_a_tileset_is_switched_off_and_the_link_remembers(relief: ServerProcess, open_imagery: Callable[..., Imagery]) -> None:
    live = open_imagery(relief)
    live.wait_until_shown()
    credit = live.page.locator(".leaflet-control-attribution")
    expect(credit).to_contain_text("Painted by Us")
    assert live.page.locator(".leaflet-control-attribution a[href='//x']").count() == 0
    expect(live.by_id("tile-traffic")).to_contain_text("tiles")
    live.by_id("tiles-relief-toggle").uncheck()
    live.wait("async () => !(await geostream.client.listSubscriptions()).some(({kind}) => kind === 'tiles')")
    expect(credit).not_to_contain_text("Painted by Us")
    assert live.page.locator(".live-tile").count() == 0
    live.wait("() => new URLSearchParams(location.hash.slice(1)).get('tiles') === ''")
    live.reload()
    expect(live.by_id("tiles-relief-toggle")).not_to_be_checked()
    live.by_id("tiles-relief-toggle").check()
    live.wait_until_shown()
    live.wait("() => new URLSearchParams(location.hash.slice(1)).get('tiles') === 'relief'")
    live.check()


@pytest.mark.long_form(only=True)
def test_a_phone_gets_sharp_tiles(
    relief: ServerProcess, new_context: Callable[..., BrowserContext], screenshot: Callable[..., None]
) -> None:
    live = Imagery(new_context(**PHONE).new_page())

    live.open(f"{relief.url}/#{WORLD}")
    live.wait_until_shown()
    assert live.page.evaluate("new Set([...document.querySelectorAll('.live-tile')].map(({width}) => width)).has(512)")
    live.page.locator("#panel-toggle").tap()
    live.page.locator("#imagery").scroll_into_view_if_needed()
    screenshot(live, "imagery-on-a-phone")
    assert live.page.evaluate("document.querySelector('#panel-body').scrollWidth <= document.querySelector('#panel-body').clientWidth")
    live.check()


def test_the_config_names_only_what_may_be_read(relief: ServerProcess) -> None:
    add(relief, "secret", RELIEF, kind="raster", public=False)
    _, page = relief.request("GET", "/", token="")
    config = re.search('id="map-config"[^>]*>(.*?)</script>', page)
    assert config is not None
    assert [tileset["name"] for tileset in json.loads(config[1])["tilesets"]] == ["relief"]
