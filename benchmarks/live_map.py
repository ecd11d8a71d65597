"""The live map in Chromium while a million points move: the first picture, frames a second, memory, and whether a recount agrees.
Points are vehicles around cities that move some kilometres at a time; a few disappear and come back. Server, Redis, publisher and browser
share the machine, and the browser draws without a graphics card. `--rate` is changes a second.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import redis
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from .moving_points import MovingPoints, cell_of
from .stack import Server, processor_seconds, serving, site, tree_seconds

POINTS = 1_000_000
RATE = 10_000
SECONDS = 30.0
LOG = 100_000
"""Changes that are kept: those of ten seconds. A server that is behind by more has to read the whole layer again."""
LAYER = "million"
FRAME_MS = 1000 / 30
"""Longer, and there are fewer than 30 a second."""
LOOK_SECONDS = 0.5
PATIENCE_MS = 120_000
WORLD, CLOSER = "map=1.5/10/0", "map=4/20/10"
"""Where the map looks: at all cells, and at some of them."""

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run")

WATCH = """
globalThis.bench = {frames: [], tasks: [], drawn: null};
(() => {
  const isDrawn = () => {
    const {live, map, subscriptions} = globalThis.geostream ?? {};
    if (!live?.isComplete("LAYER")) return false;
    const overlay = Object.values(map._layers).find(({painter}) => painter);
    const shapes = overlay.scenes.reduce((sum, scene) => sum + scene.shapes.size, 0);
    return shapes > 0 && shapes === subscriptions["LAYER"].features.size && overlay._stale.size === 0;
  };
  let last = null;
  const tick = (now) => {
    if (last !== null) bench.frames.push(now - last);
    last = now;
    bench.drawn ??= isDrawn() ? performance.now() : null;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  new PerformanceObserver((list) => bench.tasks.push(...list.getEntries().map(({duration}) => duration))).observe({type: "longtask"});
})();
""".replace("LAYER", LAYER)
CURSOR = f"geostream.subscriptions['{LAYER}'].cursor"
CELLS = f"[...geostream.subscriptions['{LAYER}'].features.values()].map(({{id, properties}}) => [id, properties.count])"
RESOLUTION = f"geostream.subscriptions['{LAYER}'].aggregate?.resolution"  # none while the page is sent another view


def _row(what: str, figure: float | None, unit: str) -> dict[str, Any]:
    return {"what": what, "figure": figure, "unit": unit}


@dataclass
class _Costs:
    """Processor time of each, in seconds."""

    server: float
    redis: float
    publisher: float
    browser: float


class _Machine:
    """The processes that take part."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.redis = redis.Redis.from_url(server.redis_url)
        self._redis_pid = int(self.redis.info("server")["process_id"])

    def costs(self) -> _Costs:
        """What each has used so far; what is neither server nor Redis is the browser, with what drives it."""
        others = tree_seconds() - tree_seconds(self.server.pid) - processor_seconds(self._redis_pid)
        return _Costs(self.server.cpu, processor_seconds(self._redis_pid), time.process_time(), others)

    @property
    def redis_bytes(self) -> int:
        """What Redis takes of the machine's memory."""
        return int(self.redis.info("memory")["used_memory_rss"])

    def sent_bytes(self) -> float:
        """What the server has sent on WebSockets."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("geostream_bytes_sent_total"))


@asynccontextmanager
async def _opened(browser: Browser, server: Server, view: str) -> AsyncIterator[Page]:
    """The map in a new context (nothing is cached), once it has drawn all cells in view."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(f"http://127.0.0.1:{server.port}/#{view}&layers={LAYER}")
    await page.wait_for_function("() => bench.drawn !== null", timeout=PATIENCE_MS)
    yield page
    await context.close()


async def _picture(browser: Browser, machine: _Machine, view: str, name: str) -> list[dict[str, Any]]:
    """Rows of one opening of the page."""
    before = machine.costs()
    async with _opened(browser, machine.server, view) as page:
        seconds = await page.evaluate("bench.drawn") / 1000
        after = machine.costs()
    return [
        _row(f"first picture, {name}", round(seconds, 2), "s"),
        _row(f"- the server's processor time, {name}", round(after.server - before.server, 2), "s"),
        _row(f"- the browser's, {name}", round(after.browser - before.browser, 2), "s"),
        _row(f"server's memory after it, {name}", round(machine.server.rss / 1e6), "MB"),
    ]


async def _heap(session: CDPSession) -> float:
    """The page's JavaScript objects that are in use, in MB."""
    await session.send("HeapProfiler.collectGarbage")
    usage = await session.send("Runtime.getHeapUsage")
    return round(float(usage["usedSize"]) / 1e6, 1)


async def _frames(page: Page, name: str, seconds: float, user: Callable[[Page], Any] | None) -> list[dict[str, Any]]:
    """Rows of the frames while something is done with the map."""
    await page.evaluate("bench.frames = []; bench.tasks = []")
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        await (asyncio.sleep(min(left, 1.0)) if user is None else user(page))
    frames, tasks = await page.evaluate("[bench.frames, bench.tasks]")
    return [
        _row(f"frames a second, {name}", round(1000 * len(frames) / sum(frames), 1), "1/s"),
        _row(f"- between two of them, median, {name}", round(statistics.median(frames), 1), "ms"),
        _row(f"- 95th percentile, {name}", round(statistics.quantiles(frames, n=20)[-1], 1), "ms"),
        _row(f"- in time for 30 a second, {name}", round(100 * sum(each <= FRAME_MS for each in frames) / len(frames), 1), "%"),
        _row(f"- longest task, {name}", round(max(tasks, default=0.0)), "ms"),
    ]


async def _pan_and_zoom(page: Page) -> None:
    """Some seconds of a user: drags to and fro, and a turn of the wheel."""
    for dx, dy in ((-300, 80), (250, -120), (50, 40)):
        await page.mouse.move(640, 400)
        await page.mouse.down()
        await page.mouse.move(640 + dx, 400 + dy, steps=25)
        await page.mouse.up()
        await asyncio.sleep(0.4)
    for delta in (-240, -240, 240, 240):
        await page.mouse.wheel(0, delta)
        await asyncio.sleep(0.7)


async def _moving(page: Page, machine: _Machine, points: MovingPoints, seconds: float) -> AsyncIterator[dict[str, Any]]:
    """Rows of what is seen, and of what it costs, while points move."""
    session = await page.context.new_cdp_session(page)
    yield _row("page's objects at the start", await _heap(session), "MB")
    lags: list[tuple[int, float]] = []

    async def look() -> None:
        while True:
            cursor = str(await page.evaluate(CURSOR) or "")
            if cursor:  # none while the page is sent another view
                lags.append(points.lag(int(cursor.rpartition(":")[2])))
            await asyncio.sleep(LOOK_SECONDS)

    looking = asyncio.create_task(look())
    before, sent, began, published = machine.costs(), machine.sent_bytes(), time.perf_counter(), points.changes
    for row in await _frames(page, "points move", seconds, None):
        yield row
    took, after = time.perf_counter() - began, machine.costs()
    yield _row("changes that were published", round((points.changes - published) / took), "1/s")
    yield _row("the page is sent", round((machine.sent_bytes() - sent) / took / 1000, 1), "kB/s")
    for name in ("server", "redis", "publisher", "browser"):
        yield _row(f"processor time: {name}", round(100 * (getattr(after, name) - getattr(before, name)) / took), "% of a core")
    yield _row("the page is behind by, median", round(statistics.median(each for each, _ in lags)), "changes")
    yield _row("- in time, median", round(statistics.median(each for _, each in lags), 2), "s")
    yield _row("- at most", round(max(each for _, each in lags), 2), "s")
    for row in await _frames(page, "and the map too", seconds, _pan_and_zoom):
        yield row
    looking.cancel()
    yield _row("page's objects at the end", await _heap(session), "MB")


async def _recounted(page: Page, machine: _Machine, points: MovingPoints) -> AsyncIterator[dict[str, Any]]:
    """Nothing is published any more: page, Redis and publisher have the same number in each cell."""
    await page.evaluate("geostream.map.setView([10, 0], 1.5, {animate: false})")
    await page.wait_for_function(f"() => {RESOLUTION} === 0", timeout=PATIENCE_MS)
    published, until = points.recount(0), time.monotonic() + PATIENCE_MS / 1000
    shown: Counter[str] = Counter()
    while shown != published and time.monotonic() < until:
        await asyncio.sleep(LOOK_SECONDS)
        shown = Counter(dict(await page.evaluate(CELLS)))
    stored: Counter[str] = Counter()
    for value in machine.redis.hvals(points.feed.keys[0]):
        x, y = json.loads(value[13:])["geometry"]["coordinates"]
        stored[cell_of(x, y, 0)] += 1
    yield _row("points of the publisher", published.total(), "")
    yield _row("- in Redis", stored.total(), "")
    yield _row("- in the page's cells", shown.total(), "")
    yield _row("cells in which the page differs", len((shown - published) + (published - shown)), "")
    yield _row("- in which Redis does", len((stored - published) + (published - stored)), "")


async def measure(server: Server, points: MovingPoints, rate: int, seconds: float) -> AsyncIterator[dict[str, Any]]:
    """All rows."""
    machine = _Machine(server)
    yield _row("server's memory at its start", round(server.rss / 1e6), "MB")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=next(filter(None, map(shutil.which, BROWSERS)), None), args=ARGUMENTS)
        for view, name in ((WORLD, "server just started"), (CLOSER, "other cells"), (WORLD, "the same cells again")):
            for row in await _picture(browser, machine, view, name):
                yield row
        publishing = asyncio.create_task(points.move(rate))
        for row in await _picture(browser, machine, WORLD, "while points move"):
            yield row
        async with _opened(browser, server, CLOSER) as page:
            yield _row("server's memory at the start", round(server.rss / 1e6), "MB")
            yield _row("Redis' memory at the start", round(machine.redis_bytes / 1e6), "MB")
            async for row in _moving(page, machine, points, seconds):
                yield row
            points.pause()
            await publishing
            yield _row("server's memory at the end", round(server.rss / 1e6), "MB")
            yield _row("Redis' memory at the end", round(machine.redis_bytes / 1e6), "MB")
            async for row in _recounted(page, machine, points):
                yield row
        await browser.close()


def run(share: float, rate: int) -> Iterator[dict[str, Any]]:
    """All rows."""
    with site() as made:
        from streaming.models import Layer

        Layer.objects.create(name=LAYER, max_features=0, log_length=LOG)
        count = int(POINTS * share)
        with asyncio.Runner() as runner:
            points, began = runner.run(MovingPoints.fill(LAYER, count)), time.perf_counter()
            yield _row(f"{count:,} points", round(count / points.fill_seconds), "stored a second")
            with serving(made) as server:
                yield _row("server's start", round(time.perf_counter() - began, 2), "s")
                rows = measure(server, points, rate, SECONDS * max(share, 0.3))
                while (row := runner.run(anext(rows, None))) is not None:
                    yield row
