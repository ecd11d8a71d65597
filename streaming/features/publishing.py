"""Publishing from the Python code of a Django project.

    from django.db.models.signals import post_save
    from django.dispatch import receiver
    from streaming import publish

    @receiver(post_save, sender=Vehicle)
    def vehicle_moved(instance, **kwargs):
        publish("vehicles", {
            "type": "Feature",
            "id": instance.pk,
            "geometry": {"type": "Point", "coordinates": [instance.lon, instance.lat]},
            "properties": {"name": instance.name, "speed_kmh": instance.speed},
        })

The functions that begin with `a` are for coroutines. A refused feature raises `StreamError`; when several are published
together, the result lists the refused ones instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError

from streaming.core.errors import StreamError
from streaming.models import Layer

from .events import apublish_event, publish_event
from .geojson import key_of
from .ingest import IngestResult, aingest, ingest
from .layers import LayerSettings, catalogue, layer_feed

__all__ = ["adelete", "apublish", "apublish_event", "delete", "publish", "publish_event"]

Feature = dict[str, Any]


def publish(layer: str, features: Feature | Iterable[Feature]) -> IngestResult:
    """Add or update features of a layer, which is created if it does not exist.

    `features` is one GeoJSON Feature, a FeatureCollection, or any iterable of Features (degrees, longitude first). A
    single Feature that is not valid raises `StreamError`; of several, each refusal is in the result.
    """
    return _checked(features, ingest(layer_feed(ensure_layer(layer)), _records(features)))


async def apublish(layer: str, features: Feature | Iterable[Feature]) -> IngestResult:
    """`publish` for coroutines."""
    settings = await aensure_layer(layer)
    return _checked(features, await aingest(layer_feed(settings), _records(features)))


def delete(layer: str, *ids: str | int) -> int:
    """Delete features by id; returns how many there were. `StreamError("unknown_layer")`."""
    feed = layer_feed(catalogue.get_sync(layer))
    return feed.delete_sync([key_of(id) for id in ids]).count("deleted")


async def adelete(layer: str, *ids: str | int) -> int:
    """`delete` for coroutines."""
    feed = layer_feed(await catalogue.get(layer))
    return (await feed.delete([key_of(id) for id in ids])).count("deleted")


def ensure_layer(name: str) -> LayerSettings:
    """A layer's settings; the layer is created if it does not exist."""
    try:
        return catalogue.get_sync(name)
    except StreamError:
        create_layer(name)
        return catalogue.get_sync(name)


async def aensure_layer(name: str) -> LayerSettings:
    """`ensure_layer` for coroutines; a layer that exists needs no thread."""
    try:
        return await catalogue.get(name)
    except StreamError:
        settings: LayerSettings = await database_sync_to_async(ensure_layer)(name)
        return settings


def create_layer(name: str) -> None:
    """Create a layer with the default settings. `StreamError("bad_request")` if it cannot have this name."""
    layer = Layer(name=name)
    try:
        layer.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise StreamError("bad_request", f"{name[:100]!r} cannot be a layer's name: {' '.join(error.messages)}") from error
    Layer.objects.get_or_create(name=name)


def _records(features: Feature | Iterable[Feature]) -> Iterable[Feature]:
    if not isinstance(features, dict):
        return features
    if features.get("type") == "FeatureCollection":
        collection: Iterable[Feature] = features.get("features") or []
        return collection
    return [features]


def _checked(features: Feature | Iterable[Feature], result: IngestResult) -> IngestResult:
    single = isinstance(features, dict) and features.get("type") != "FeatureCollection"
    if single and result.errors:
        error = result.errors[0]
        raise StreamError(error["code"], error["message"])
    return result
