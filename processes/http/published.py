"""Where a job puts its result, for its pages: the layer or tileset that its input `publish_to` names."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.urls import NoReverseMatch, reverse

from processes.models import JobRequest
from streaming.features.layers import catalogue

INPUT = "publish_to"


def published(job: UUID, user: Any) -> dict[str, str] | None:
    """`name`, and the addresses that there are: `map_url`, and `layer_url` of a layer that the user may read. None: nowhere."""
    inputs: Any = JobRequest.objects.filter(pk=job).values_list("inputs", flat=True).first()
    values = (inputs or {}).get(INPUT) or [{}]
    name = values[0].get("value")
    if not isinstance(name, str) or not name:
        return None
    layer = catalogue.all_sync().get(name)
    layer_url = _reverse("streaming:layer", name) if layer is not None and layer.readable_by(user) else None
    map_url = on_map(name)
    return {"name": name, **({"map_url": map_url} if map_url else {}), **({"layer_url": layer_url} if layer_url else {})}


def on_map(name: str) -> str | None:
    """The map with a layer or tileset of this name alone: whichever there is."""
    address = _reverse("streaming:map")
    quoted = quote(name, safe="")
    return f"{address}?layer={quoted}#tiles={quoted}" if address else None


def _reverse(name: str, *arguments: str) -> str | None:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return None
