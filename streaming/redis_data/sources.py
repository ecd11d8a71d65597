"""Which names of Redis feed which layers, as `GEOSTREAM_REDIS_LAYERS` says: `stations=stations,flights:*=flights`."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured, ValidationError

from streaming.models import Layer
from streaming.redis_data.names import ANYBODY, Readable, readable_names


class Sources:
    """Channels, and hashes, by name or by the beginning of the name. The longest that fits counts."""

    def __init__(self, setting: str) -> None:
        self._layers = dict(_parsed(setting))
        self._prefixes = sorted((name[:-1] for name in self._layers if name.endswith("*")), key=len, reverse=True)
        self.names: Readable = readable_names(dict.fromkeys(self._layers, ANYBODY))
        """What to listen to."""

    def layer_of(self, name: str) -> str | None:
        """The layer that a name feeds; what GeoStream and Django keep in Redis feeds none."""
        if not self.names.allows(name):
            return None
        if name in self._layers and not name.endswith("*"):
            return self._layers[name]
        return next((self._layers[prefix + "*"] for prefix in self._prefixes if name.startswith(prefix)), None)


def _parsed(setting: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, map(str.strip, setting.split(","))):
        name, _, layer = (piece.strip() for piece in part.rpartition("="))
        if not name or not layer:
            raise ImproperlyConfigured(f"GEOSTREAM_REDIS_LAYERS: {part!r} must be a channel, '=', and a layer")
        try:
            Layer._meta.get_field("name").run_validators(layer)
        except ValidationError as error:
            raise ImproperlyConfigured(f"GEOSTREAM_REDIS_LAYERS: {layer!r} cannot be a layer's name: {' '.join(error.messages)}") from error
        yield name, layer
