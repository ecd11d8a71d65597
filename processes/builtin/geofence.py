"""The continuous process `geofence`: which features of a live layer enter, leave and stay in the areas of another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from hashlib import sha1
from typing import Annotated, Any, NamedTuple

import msgspec

from processes.worker import BadInput, BBox, Input, Job, JobFailed
from streaming.core.filters import Filter
from streaming.core.items import Change, Item
from streaming.engine.conf import conf
from streaming.features.geojson import feature_id
from streaming.features.server_events import readers

from .areas import Areas
from .continuous import LOOK_SECONDS, Reports, Review, until_the_end
from .job_features import JobFeatures
from .layer_snapshot import Condition, LayerName, condition_of
from .live_layer import LiveLayer, worker_hub
from .publishing import ResultLayer
from .refusals import refusals
from .rights import readable_layer, require_writable_layer
from .stay_store import MOST_CROSSINGS, StayStore
from .stays import Crossing, Pair, Stay, Stays

MOST_JUDGED = 500
"""Features that are compared with the areas in one go."""
WORDS = {"enter": "has entered", "exit": "has left", "dwell": "stays in"}


class Crossings(NamedTuple):
    """What was noticed when the job ended.

    Attributes:
        events: Events. How many were published.
        stays: Features in areas, as pairs.
    """

    events: int
    stays: int


async def geofence(
    layer: LayerName,
    areas: LayerName,
    publish_to: ResultLayer,
    dwell_seconds: Annotated[float | None, Input(exclusive_minimum=0, maximum=86_400 * 365)] = None,
    bbox: BBox | None = None,
    filter: Condition = None,
    update_seconds: Annotated[float, Input(minimum=0.05, maximum=3600)] = 1.0,
    *,
    job: Job,
) -> Crossings:
    """Geofence. Which features of a live layer enter, leave and stay in the areas of another one.

    Each is an event of the type `custom` whose `event` is `geofence_enter`, `geofence_exit` or `geofence_dwell`, for those who may read
    both layers. What is in an area now is a feature of a third layer. The job runs until it is dismissed.

    Args:
        layer: Layer whose features move.
        areas: Layer with areas. They may change, too.
        publish_to: Layer for what is in an area. It is created if it does not exist. What others have put there stays.
        dwell_seconds: Seconds in an area after which a feature stays there. None are reported without.
        bbox: Box in degrees. Features outside are in no area. West beyond east crosses the antimeridian.
        filter: Filter. Others are in no area.
        update_seconds: How often the layer of what is in an area is brought up to date, in seconds.
    """
    if layer == publish_to or areas == publish_to:
        raise BadInput("must be another layer", "publish_to")
    moving, fences = await asyncio.to_thread(lambda: (readable_layer(layer, job), readable_layer(areas, job, "areas")))
    condition = condition_of(moving.time_property, bbox, filter=filter)
    review = Review(partial(_check, layer, areas, publish_to, job))
    await review.look()
    store = StayStore(job.id, job.attempt, readers({*moving.permissions, *fences.permissions}))
    kept = JobFeatures(publish_to, job.id)
    dwell = None if dwell_seconds is None else int(dwell_seconds * 1000)
    async with AsyncExitStack() as stack:
        stack.enter_context(refusals())
        await store.load()
        hub = await stack.enter_async_context(worker_hub())
        live, live_areas = await LiveLayer.follow(hub, moving, store.place.cursor), await LiveLayer.follow(hub, fences)
        stack.callback(live.close)
        stack.callback(live_areas.close)
        fence = Fence(moving.name, fences.name, condition, Stays(store.stays, dwell), store, live, job.id)

        async def clean_up() -> None:
            await kept.clear()
            await store.drop()

        await until_the_end(_follow(fence, live_areas, kept, review, update_seconds, job), clean_up, job)
    return Crossings(store.place.events, fence.stays.count)


def _check(layer: str, areas: str, publish_to: str, job: Job) -> None:
    readable_layer(layer, job)
    readable_layer(areas, job, "areas")
    require_writable_layer(publish_to, job)


async def _follow(fence: Fence, areas: LiveLayer, kept: JobFeatures, review: Review, every: float, job: Job) -> None:
    """Watch for ever. Changes of the layer are judged by the areas as they were; then by others, if these have changed."""
    reports, due = Reports(job), 0.0
    changes: Sequence[Change] | None = None
    other_areas = True
    while True:
        job.check()
        if changes:
            await fence.apply(changes)
        if other_areas:
            await fence.set_areas(areas.items.values())
        if other_areas or changes is None:
            await fence.compare()
        await fence.dwell()
        if changes is None:
            await kept.replace(fence.drawn({(stay.feature, stay.area) for stay in fence.stays}))
            fence.touched.clear()
        elif fence.touched and time.monotonic() >= due:
            due = time.monotonic() + every
            if await kept.update(fence.drawn(fence.touched)):
                fence.touched.clear()
        if reports.report(str(fence.live.cursor), fence.describe, now=changes is None):
            await fence.keep_place()
        await review.look()
        changes = await fence.live.take(min(LOOK_SECONDS, max(0.01, due - time.monotonic())) if fence.touched else LOOK_SECONDS)
        taken = await areas.take(0.0)
        other_areas = taken is None or len(taken) > 0


class Fence:
    """The areas, and what is known of the features in them: the stays are those of the place in the log at which `live` is."""

    def __init__(self, layer: str, areas: str, condition: Filter, stays: Stays, store: StayStore, live: LiveLayer, job: str) -> None:
        self._layer, self._areas_layer, self._matches, self._job = layer, areas, condition.matches, job
        self._areas = Areas([])
        self._store = store
        self.stays = stays
        self.live = live
        self.touched: set[Pair] = set()
        """Stays that are to be drawn anew."""

    def describe(self) -> str:
        """For people."""
        return f"{self.stays.count:,} stays in {len(self._areas.items):,} areas, {self._store.place.events:,} events"

    async def set_areas(self, items: Iterable[Item]) -> None:
        """Other areas. `compare` is to follow."""
        self._areas = await asyncio.to_thread(Areas, list(items))

    async def compare(self) -> None:
        """Judge all features as they are at the place where `live` is."""
        cursor = str(self.live.cursor)
        if self._store.place.cursor != cursor:  # until all are judged, the stays are those of no place
            await self._store.commit(None, (), ())
        place = self._store.place.cursor
        items = dict(self.live.items)
        keys = [*items, *(key for key in self.stays.features() if key not in items)]
        for start in range(0, len(keys), MOST_JUDGED):
            await self._judge([(key, items.get(key), place) for key in keys[start : start + MOST_JUDGED]])
            await asyncio.sleep(0)
        await self._store.commit(cursor, (), ())

    async def apply(self, changes: Sequence[Change]) -> None:
        """What happened to the layer."""
        epoch = self.live.cursor.epoch
        await self._judge([(change.key, change.new, f"{epoch}:{change.seq}") for change in changes])

    async def dwell(self) -> None:
        """Report those that have become long."""
        while crossings := self.stays.dwelling(_now(), MOST_CROSSINGS):
            await self._commit(self._store.place.cursor, [(each, self.live.items.get(each.stay.feature)) for each in crossings])

    async def keep_place(self) -> None:
        """Nothing has crossed since the place that is stored: a later one is as true, and the log reaches it for longer."""
        await self._store.commit(str(self.live.cursor), (), ())

    def drawn(self, pairs: Iterable[Pair]) -> dict[str, Any]:
        """Stays as features by name, None for those that are over."""
        known = {(stay.feature, stay.area): stay for feature in {feature for feature, _ in pairs} for stay in self.stays.of(feature)}
        return {_name(pair): self._feature(known[pair]) if pair in known else None for pair in pairs}

    async def _judge(self, versions: Sequence[tuple[str, Item | None, str | None]]) -> None:
        """Move features to where these versions are, in order. Each is of a place in the log, and all before it are of it then."""
        there = [item if item is not None and self._matches(item) else None for _, item, _ in versions]
        pending: list[tuple[Crossing, Item | None]] = []
        reached = self._store.place.cursor
        for (key, item, place), areas in zip(versions, self._areas.around(there), strict=True):
            found = self.stays.move(key, areas, _now() if item is None else item.arrived)
            if pending and len(pending) + len(found) > MOST_CROSSINGS:
                await self._commit(reached, pending)
                pending = []
            pending += [(each, item) for each in found]
            self.touched.update((key, area) for area in areas)
            reached = place
        if self.stays.count > conf.PROCESS_FEATURES:
            raise JobFailed(f"more than {conf.PROCESS_FEATURES:,} features are in areas", title="Too many stays", status=422)
        if pending:
            await self._commit(reached, pending)

    async def _commit(self, cursor: str | None, crossings: Sequence[tuple[Crossing, Item | None]]) -> None:
        """Store crossings and publish their events. Those of one feature that are too many for one step are of the place before."""
        for start in range(0, len(crossings), MOST_CROSSINGS):
            some = crossings[start : start + MOST_CROSSINGS]
            place = cursor if start + MOST_CROSSINGS >= len(crossings) else self._store.place.cursor
            await self._store.commit(place, [each for each, _ in some], [self._event(each, item) for each, item in some])
        self.touched.update((each.stay.feature, each.stay.area) for each, _ in crossings)

    def _event(self, crossing: Crossing, item: Item | None) -> dict[str, Any]:
        stay = crossing.stay
        feature, area = feature_id(stay.feature), feature_id(stay.area)
        name = self._name_of(stay.area)
        event = {
            "event": f"geofence_{crossing.kind}",
            "source": f"layer:{self._layer}",
            "layer": self._layer,
            "areas": self._areas_layer,
            "feature": feature,
            "area": area,
            "area_name": name,
            "since": _text(stay.since),
            "at": _text(crossing.at),
            "seconds": round((crossing.at - stay.since) / 1000, 3),
            "geometry": None if item is None or not item.is_point else item.feature["geometry"],
            "job": self._job,
            "message": f"{feature} {WORDS[crossing.kind]} {name}",
        }
        return event

    def _name_of(self, area: str) -> str:
        item = self._areas.items.get(area)
        name = None if item is None else item.properties.get("name")
        return name if isinstance(name, str) and name else str(feature_id(area))

    def _feature(self, stay: Stay) -> dict[str, Any]:
        item = self.live.items.get(stay.feature)
        properties = {
            "feature": feature_id(stay.feature),
            "area": feature_id(stay.area),
            "area_name": self._name_of(stay.area),
            "since": _text(stay.since),
            "dwelling": stay.dwelt,
            "layer": self._layer,
            "areas": self._areas_layer,
        }
        return {"geometry": None if item is None else item.feature["geometry"], "properties": properties}


def _name(pair: Pair) -> str:
    return sha1(msgspec.json.encode(pair), usedforsecurity=False).hexdigest()[:16]


def _text(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> int:
    return int(time.time() * 1000)
