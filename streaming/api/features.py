"""/api/layers/{layer}/features: publishing, which is the hot path, and reading page by page.

Publishing runs on the server's event loop: in the steady state no thread, no database query and one call to Redis for a
thousand features.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.engine.conf import conf
from streaming.engine.lifespan import running
from streaming.engine.responses import answer, geojson, refusal
from streaming.features.geojson import FeatureRules
from streaming.features.ingest import SLICE, IngestResult, Record, Slices, Store, aingest_slices, ingest
from streaming.features.large_documents import DEGREES, RawFeature
from streaming.features.layer_creation import NewLayer, check_layer_name
from streaming.features.layers import alayer_rules, catalogue, layer_feed
from streaming.features.progress import Progress
from streaming.features.server_events import layer_readers, report_limits
from streaming.features.source_crs import SourceCrs
from streaming.features.splitting import LineSplitter, split_features, split_lines

from . import schemas
from .base import AsyncApiView
from .errors import UnsupportedMediaType
from .openapi import extend_schema
from .pagination import current_items, page_of
from .permissions import ADD_LAYER, CHANGE_LAYER
from .queries import read_query, read_source_crs
from .request_body import LINES, StreamedBody, body_chunks, declared_length, media_type, read_body
from .tracing import traced

DOCUMENTS = ("application/json", "application/geo+json", "application/vnd.geo+json")
INLINE_BYTES = 512 * 1024
"""A document up to this size is read on the event loop."""
PROJECTED_INLINE = 32 * 1024
"""Lines up to this size are projected on the event loop."""


class FeaturesView(AsyncApiView):
    """The features of one layer."""

    compresses = True
    publishes = True
    needs = {"POST": CHANGE_LAYER}
    skips_middleware = ("POST",)

    @extend_schema(**schemas.LIST_FEATURES)
    async def get(self, request: Request, layer: str) -> HttpResponse:
        """One page of the features that match."""
        settings = await catalogue.get_readable(layer, request.user)
        query = await sync_to_async(read_query, thread_sensitive=False)(request.GET, settings.time_property)
        items = await current_items(layer_feed(settings))
        page = await sync_to_async(page_of, thread_sensitive=False)(items, query)
        return geojson(page.body(request._request))

    @extend_schema(**schemas.POST_FEATURES)
    @traced("layer:{layer}")
    async def post(self, request: Request, layer: str) -> HttpResponse:
        """Add and update features."""
        read = _reader(media_type(request))
        crs = await sync_to_async(read_source_crs, thread_sensitive=False)(request.GET) if request.GET else DEGREES
        store = await _target(layer, request.user)
        rules = await alayer_rules(layer)
        result = IngestResult()
        try:
            await _store(store, await read(request, crs, layer), result, rules)
        except StreamError as error:
            return refusal(error, **(_counts(result) if result.total else {}))
        finally:
            report_limits(layer, result)
        if result.refused and result.refused == result.total:
            first = result.errors[0]
            return answer({"code": first["code"], "message": first["message"], **_counts(result)}, 422)
        return answer(_counts(result))


def writable_store(name: str, user: Any) -> Feed | NewLayer:
    """A layer to publish to. One that does not exist is created with its first feature, if the user may add layers.

    Asks the database.
    """
    try:
        return layer_feed(catalogue.get_sync(name))
    except StreamError:
        if not user.has_perm(ADD_LAYER):
            raise
        check_layer_name(name)
        return NewLayer(name)


async def _target(name: str, user: Any) -> Feed | NewLayer:
    """Where to put features. A layer that exists is not looked up in a thread."""
    try:
        return layer_feed(await catalogue.get(name))
    except StreamError:
        store: Feed | NewLayer = await database_sync_to_async(writable_store)(name, user)
        return store


async def _store(store: Store, slices: Slices, result: IngestResult, rules: FeatureRules) -> None:
    runtime = running()
    if isinstance(slices, AsyncIterable) or (runtime is not None and runtime.hub.loop is asyncio.get_running_loop()):
        await aingest_slices(store, slices, result, rules)
    else:  # no server: a test client, or a process before its first WebSocket
        await sync_to_async(ingest)(store, chain.from_iterable(slices), result, rules)


def _reader(kind: str) -> Any:
    if kind in DOCUMENTS:
        return _document
    if kind in LINES:
        return _lines
    raise UnsupportedMediaType("Content-Type", kind, DOCUMENTS + LINES, "Accept-Post")


async def _document(request: Request, crs: SourceCrs, layer: str) -> Iterator[Sequence[Record]]:
    """The features of a document, in slices, which are reported as they are taken."""
    if declared_length(request) > INLINE_BYTES or "HTTP_CONTENT_ENCODING" in request.META:
        features = await sync_to_async(_features, thread_sensitive=False)(request, crs)
    else:
        body = read_body(request, conf.MAX_BODY_BYTES)
        if crs == DEGREES and b'"crs"' not in body:
            features = list(split_features(body))
        else:  # projecting takes longer than reading
            features = await sync_to_async(_split, thread_sensitive=False)(body, crs)
    slices = (features[start : start + SLICE] for start in range(0, len(features), SLICE))
    return _progress(layer, len(features)).over(slices)


def _features(request: Request, crs: SourceCrs) -> list[RawFeature]:
    return _split(read_body(request, conf.MAX_BODY_BYTES), crs)


def _split(body: bytes, crs: SourceCrs) -> list[RawFeature]:
    return list(split_features(body, crs))


async def _lines(request: Request, crs: SourceCrs, layer: str) -> Slices:
    """The features of a stream of lines, chunk by chunk; how much of it has come is reported, if it says how long it is."""
    progress = _progress(layer, length) if (length := declared_length(request)) else None
    streamed: StreamedBody | None = getattr(request._request, "streamed_body", None)
    if streamed is None:
        chunks = body_chunks(request, None if progress is None else progress.over)
        return map(crs.texts_in_wgs84, split_lines(chunks, conf.MAX_FEATURE_BYTES))
    return _split_streamed(streamed, crs, progress)


async def _split_streamed(streamed: StreamedBody, crs: SourceCrs, progress: Progress | None) -> AsyncIterator[Iterable[Record] | None]:
    splitter, taken = LineSplitter(conf.MAX_FEATURE_BYTES), 0
    async for chunk in streamed:
        yield None if chunk is None else await _in_degrees(splitter.feed(chunk), crs)
        if progress is not None:
            taken += len(chunk or b"")
            progress.at(taken)
    yield await _in_degrees(splitter.end(), crs)
    if progress is not None:
        progress.done()


def _progress(layer: str, total: int) -> Progress:
    """What becomes events if it takes long."""
    return Progress(f"publish:{layer}", f"layer:{layer}", total, lambda: layer_readers(layer))


async def _in_degrees(records: list[RawFeature], crs: SourceCrs) -> list[RawFeature]:
    """The features in degrees; long ones are projected in a thread."""
    if crs == DEGREES or not records:
        return records
    if sum(len(record) for record in records if isinstance(record, bytes)) <= PROJECTED_INLINE:
        return crs.texts_in_wgs84(records)
    return await sync_to_async(crs.texts_in_wgs84, thread_sensitive=False)(records)


def _counts(result: IngestResult) -> dict[str, Any]:
    counts: dict[str, Any] = msgspec.to_builtins(result)
    if not result.warnings:
        del counts["warnings"]
    return counts
