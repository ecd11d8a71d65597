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

from streaming.core.errors import StreamError
from streaming.core.feed import PutResult

from .events import apublish_event, publish_event
from .geojson import key_of
from .ingest import IngestResult, Record, aingest, ingest
from .layer_creation import aensure_layer, afeature_store, ensure_layer, feature_store
from .layers import alayer_rules, catalogue, layer_feed, layer_rules
from .source_crs import SourceCrs
from .versions import condition_of, conflict

__all__ = ["adelete", "aensure_layer", "apublish", "apublish_event", "delete", "ensure_layer", "publish", "publish_event"]

Feature = dict[str, Any]


def publish(layer: str, features: Feature | Iterable[Feature]) -> IngestResult:
    """Add or update features of a layer, which is created with its first feature if it does not exist.

    `features` is one GeoJSON Feature, a FeatureCollection, or any iterable of Features (degrees, longitude first). A
    single Feature that is not valid raises `StreamError`; of several, each refusal is in the result.

    A Feature with the member `if_version` is stored only if it replaces that version (its ETag over HTTP), or if that
    is None and it is new; else it is refused as `precondition_failed`. The member itself is not stored.
    """
    return _checked(features, ingest(feature_store(layer), _records(features), rules=layer_rules(layer)))


async def apublish(layer: str, features: Feature | Iterable[Feature]) -> IngestResult:
    """`publish` for coroutines."""
    return _checked(features, await aingest(await afeature_store(layer), _records(features), rules=await alayer_rules(layer)))


def delete(layer: str, *ids: str | int, if_version: str | None = None) -> int:
    """Delete features by id; returns how many there were. `StreamError("unknown_layer")`.

    With `if_version` only what is of that version, else `StreamError("precondition_failed")`.
    """
    feed = layer_feed(catalogue.get_sync(layer))
    return _deleted(feed.delete_sync([key_of(id) for id in ids], condition=_condition(if_version)))


async def adelete(layer: str, *ids: str | int, if_version: str | None = None) -> int:
    """`delete` for coroutines."""
    feed = layer_feed(await catalogue.get(layer))
    return _deleted(await feed.delete([key_of(id) for id in ids], condition=_condition(if_version)))


def _condition(version: str | None) -> str:
    return "" if version is None else condition_of([version])


def _deleted(result: PutResult) -> int:
    if result.conflicts:
        raise conflict(result.conflicts[0])
    return result.count("deleted")


def _records(features: Feature | Iterable[Feature]) -> Iterable[Record]:
    if not isinstance(features, dict):
        return features
    if features.get("type") == "FeatureCollection":
        return SourceCrs().within(features.get("crs")).in_wgs84(features.get("features") or [])
    return [features]


def _checked(features: Feature | Iterable[Feature], result: IngestResult) -> IngestResult:
    single = isinstance(features, dict) and features.get("type") != "FeatureCollection"
    if single and result.errors:
        error = result.errors[0]
        raise StreamError(error["code"], error["message"])
    return result
