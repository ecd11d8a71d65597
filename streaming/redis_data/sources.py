"""Which names of Redis feed which layers, from `GEOSTREAM_REDIS_LAYERS`: `stations=stations,flights:*=flights`."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured, ValidationError

from streaming.core.pattern_map import PatternMap, split_list, split_pair
from streaming.models import Layer

from .names import ANYBODY, ReadableNames


class LayerSources:
    """Channels, and hashes, by name or by the beginning of the name. The longest that fits counts. `ImproperlyConfigured`."""

    def __init__(self, setting: str) -> None:
        layers = dict(map(_parsed, split_list(setting)))
        self._layers = PatternMap(layers)
        self.names = ReadableNames(dict.fromkeys(layers, ANYBODY))
        """What to listen to."""

    def layer_of(self, name: str) -> str | None:
        """The layer that a name feeds; what GeoStream and Django keep in Redis feeds none."""
        return self._layers.get(name) if self.names.allows(name) else None


def _parsed(entry: str) -> tuple[str, str]:
    name, layer = split_pair(entry)
    if not name or not layer:
        raise ImproperlyConfigured(f"GEOSTREAM_REDIS_LAYERS: {entry!r} must be a channel, '=', and a layer")
    try:
        Layer._meta.get_field("name").run_validators(layer)
    except ValidationError as error:
        raise ImproperlyConfigured(f"GEOSTREAM_REDIS_LAYERS: {layer!r} cannot be a layer's name: {' '.join(error.messages)}") from error
    return name, layer
