"""/api/layers/{layer}/aggregates: the cells in which a layer has features, page by page; and as vector tiles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asgiref.sync import sync_to_async
from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.filters import Filter
from streaming.core.items import Item
from streaming.engine.lifespan import running
from streaming.engine.responses import geojson
from streaming.features.aggregates.service import Aggregates
from streaming.features.aggregates.single_count import cells_of
from streaming.features.aggregates.spec import AggregateSpec
from streaming.features.layers import catalogue, layer_feed
from streaming.tiles.cell_tiles import cell_tile
from streaming.tiles.grid import Tile, tile_exists
from streaming.tiles.sources.base import MIME

from . import schemas, tile_schemas
from .base import AsyncApiView
from .openapi import extend_schema
from .pagination import page_of
from .preconditions import with_tag
from .queries import read_aggregate_query, read_aggregate_tile_query


class AggregatesView(AsyncApiView):
    """The features of one layer, counted in cells."""

    compresses = True

    @extend_schema(**schemas.LIST_AGGREGATES)
    async def get(self, request: Request, layer: str) -> HttpResponse:
        """One page of the cells that match."""
        settings = await catalogue.get_readable(layer, request.user)
        query = await sync_to_async(read_aggregate_query, thread_sensitive=False)(request.GET, settings.time_property)
        cells = await _current_cells(request, layer_feed(settings), query.spec, query.counted)
        page = await sync_to_async(page_of, thread_sensitive=False)(cells, query.page)
        return geojson(page.body(request._request, aggregate=query.spec.info()))


class AggregateTileView(AsyncApiView):
    """The cells in one tile of the map."""

    @extend_schema(**tile_schemas.GET_AGGREGATE_TILE)
    async def get(self, request: Request, layer: str, z: str, x: str, y: str, ending: str) -> HttpResponse:
        """A vector tile; 204 if it is empty."""
        tile = Tile(int(z), int(x), int(y))
        if not tile_exists(*tile):
            raise StreamError("unknown_tile", f"there is no tile {z}/{x}/{y}")
        settings = await catalogue.get_readable(layer, request.user)
        read = sync_to_async(read_aggregate_tile_query, thread_sensitive=False)
        spec, counted = await read(request.GET, settings.time_property, tile.z)
        cells = await _current_cells(request, layer_feed(settings), spec, counted)
        made = await sync_to_async(cell_tile, thread_sensitive=False)(layer, cells, tile)
        return with_tag(HttpResponse(made or b"", status=200 if made else 204, content_type=MIME["mvt"]), request)


async def _current_cells(request: Request, feed: Feed, spec: AggregateSpec, counted: Filter) -> Sequence[Item]:
    """The cells of everything that was stored before this call."""
    runtime = running()
    if runtime is None or runtime.hub.loop is not asyncio.get_running_loop():
        return await sync_to_async(_count)(feed, spec, counted)
    replica = await runtime.hub.replica(feed)
    address = request.META.get("REMOTE_ADDR", "")
    async with runtime.service(Aggregates).opened(replica, spec, counted, address) as aggregate:
        await aggregate.catch_up_with(runtime.hub)
        return list(aggregate.items.values())


def _count(feed: Feed, spec: AggregateSpec, counted: Filter) -> Sequence[Item]:
    return cells_of(feed.read_sync().items.values(), spec, counted)
