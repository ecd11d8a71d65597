"""The live map as its user sees it: what is shown, what can be done, and what went wrong meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zstandard
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response, WebSocket, expect

from .fleet import fleet

Box = tuple[float, float, float, float]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
WITHIN = 20.0
OVERLAY = "Object.values(geostream.map._layers).find(({painter}) => painter)"
START_OVER = """([zoom, lat, lon]) => {
  const byTestId = (name) => document.querySelector(`[data-testid=${name}]`);
  const panel = document.querySelector('#panel');
  document.activeElement.blur();
  document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));
  if (byTestId('follow-view').checked) byTestId('follow-view').click();
  if (!byTestId('draw-clear').disabled) byTestId('draw-clear').click();
  if (byTestId('filter-input').value) byTestId('filter-clear').click();
  for (const each of document.querySelectorAll('#layers [role=switch]:not(:checked)')) each.click();
  if (String(!matchMedia('(max-width: 640px)').matches) !== panel.dataset.open) document.querySelector('#panel-toggle').click();
  geostream.map.stop().setView([lat, lon], zoom, {animate: false});
}"""
HOLDS = """(wanted) => {
  const held = geostream.subscriptions.flights?.features;
  return held?.size === wanted.length && wanted.every(({id, geometry, properties}) =>
      String(held.get(id)?.geometry.coordinates) === String(geometry.coordinates) &&
      Object.entries(properties).every(([name, value]) => held.get(id).properties[name] === value));
}"""


class WatchedPage:
    """A page that remembers every error on its console, every exception, refused content and failed request."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        self.received: list[dict[str, Any]] = []
        self._offline = False
        page.set_default_timeout(WITHIN * 1000)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._response)
        page.on("websocket", self._websocket)

    def log_in(self) -> None:
        """As the superuser `admin`, on a page that asks for it."""
        self.page.get_by_label("Username").fill("admin")
        self.page.get_by_label("Password").fill("admin")
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    def check(self) -> None:
        """Nothing went wrong so far."""
        assert not self.troubles, "\n".join(self.troubles)

    def forgive(self, text: str) -> None:
        """What went wrong so far with this in it was meant to."""
        self.troubles = [each for each in self.troubles if text not in each]

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Meanwhile connections may fail."""
        self._offline = True
        yield
        self._offline = False

    def by_id(self, name: str) -> Locator:
        return self.page.get_by_test_id(name)

    def wait(self, expression: str, argument: Any = None) -> None:
        """Until this JavaScript is true."""
        self.page.wait_for_function(expression, arg=argument, polling=50)

    def wait_for(self, condition: Callable[[], bool], within: float = WITHIN) -> None:
        """Until this is true, asking often at first, while the page goes on."""
        deadline = time.monotonic() + within
        pause = 20.0
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            self.page.wait_for_timeout(pause)
            pause = min(pause * 1.3, 200)

    def touch(self, *points: tuple[float, float]) -> None:
        """One finger that goes down at the first of these places and up at the last, where it rests: nothing is flung."""
        session = self.page.context.new_cdp_session(self.page)
        now = time.time()
        for place, (x, y) in enumerate((*points, points[-1])):
            kind = "touchMove" if place else "touchStart"
            event = {"type": kind, "touchPoints": [{"x": x, "y": y}], "timestamp": now + place * 0.2}
            session.send("Input.dispatchTouchEvent", event)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (self._offline and "WebSocket connection" in message.text):
            self.troubles.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _failed(self, request: Request) -> None:
        # A page that is left (or reloaded) gives up what it was loading.
        if not self._offline and request.failure != "net::ERR_ABORTED":
            self.troubles.append(f"failed: {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")

    def _websocket(self, socket: WebSocket) -> None:
        def receive(payload: str | bytes) -> None:
            if isinstance(payload, bytes) and payload.startswith(zstandard.FRAME_HEADER):
                if zstandard.get_frame_parameters(payload).dict_id:
                    return  # only the page has the dictionary
                payload = zstandard.ZstdDecompressor().decompressobj().decompress(payload)
            if isinstance(payload, str) or payload.startswith(b"{"):
                self.received.append(json.loads(payload))

        socket.on("framereceived", receive)


class MapPage(WatchedPage):
    """The map."""

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.wait_until_live()

    def reload(self) -> None:
        self.page.reload()
        self.wait_until_live()

    def start_over(self, address: str) -> None:
        """As if it had just been opened: without filter and area, with all layers and the fleet of 20."""
        self.troubles.clear()
        self.page.evaluate(START_OVER, [float(each) for each in address.removeprefix("map=").split("/")])
        self.wait(HOLDS, fleet())
        self.page.evaluate("Object.assign(geostream.live.counters, {added: 20, updated: 0, deleted: 0})")

    def wait_until_live(self) -> None:
        """Connected, and every snapshot has arrived."""
        self.wait("""() => globalThis.geostream?.client.state === 'open' &&
            Object.values(geostream.subscriptions).every(({cursor}) => cursor !== null)""")

    @property
    def state(self) -> str | None:
        return self.by_id("connection-state").get_attribute("data-state")

    def number(self, name: str) -> int:
        """A counter of the panel; 0 while it has a word instead (`none`, `empty`)."""
        shown = self.by_id(name).inner_text().replace("\u202f", "")
        return int(shown) if shown.isdecimal() else 0

    def features(self, layer: str = "flights") -> dict[str, Any]:
        """What the page holds, by id."""
        found: dict[str, Any] = self.page.evaluate("(layer) => Object.fromEntries(geostream.subscriptions[layer].features)", layer)
        return found

    def wait_for_features(self, ids: set[str], layer: str = "flights") -> None:
        self.wait(
            """([layer, ids]) => {
              const held = [...geostream.subscriptions[layer].features.keys()];
              return held.length === ids.length && held.every((id) => ids.includes(id));
            }""",
            [layer, sorted(ids)],
        )

    def wait_until_drawn(self, id: str) -> None:
        """The point feature of this id is on the canvas, where it can be clicked."""
        self.wait(f"(id) => {OVERLAY}.painter.drawn.some(({{track}}) => track.feature.id === id && !track.moving)", id)

    def pixels(self) -> str:
        """What is drawn of the features."""
        drawn: str = self.page.evaluate("[...document.querySelectorAll('.feature-canvas')].map((canvas) => canvas.toDataURL()).join()")
        return drawn

    def ink(self) -> int:
        """How many pixels of the features' canvases are painted."""
        painted: int = self.page.evaluate("""() => [...document.querySelectorAll('.feature-canvas')].reduce((sum, canvas) => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
            copy.drawImage(canvas, 0, 0);
            const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
            for (let place = 3; place < data.length; place += 4) if (data[place]) sum += 1;
            return sum;
        }, 0)""")
        return painted

    def where(self, lon: float, lat: float) -> tuple[float, float]:
        """The place in the window at which the map shows these degrees."""
        x, y = self.page.evaluate(
            """([lon, lat]) => { const {x, y} = geostream.map.latLngToContainerPoint([lat, lon]); return [x, y]; }""", [lon, lat]
        )
        return x, y

    def show(self, zoom: float, lat: float, lon: float) -> None:
        """Go there at once."""
        self.move(f"setView([{lat}, {lon}], {zoom}, {{animate: false}})")

    def move(self, call: str) -> None:
        """Call this method of the map, and leave what it returns there: that is the map, which takes seconds to be handed over."""
        self.page.evaluate(f"() => {{ geostream.map.{call}; }}")

    def draw_box(self, box: Box) -> None:
        west, south, east, north = box
        self.by_id("draw-box").click()
        self.page.mouse.move(*self.where(west, north))
        self.page.mouse.down()
        self.page.mouse.move(*self.where(east, south), steps=5)
        self.page.mouse.up()

    def filter(self, text: str) -> None:
        self.by_id("filter-input").fill(text)
        self.by_id("filter-apply").click()

    def pan(self, x: int, y: int) -> None:
        """Drag the map by so many pixels (and throw it a little further)."""
        self.page.mouse.move(700, 320)
        self.page.mouse.down()
        self.page.mouse.move(700 + x, 320 + y, steps=4)
        self.page.mouse.up()


def inside(feature: dict[str, Any], box: Box) -> bool:
    lon, lat = feature["geometry"]["coordinates"][:2]
    west, south, east, north = box
    return bool(west <= lon <= east and south <= lat <= north)
