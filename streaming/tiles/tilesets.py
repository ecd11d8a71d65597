"""The settings of tilesets; `tilesets` has them all in memory, so that no message waits for the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from streaming.core.errors import StreamError
from streaming.engine.catalogue import Catalogue
from streaming.models import Layer, Tileset

from .source_kinds import source_kind
from .sources.base import TileMetadata
from .sources.kind import SourceKind
from .trial import try_tileset


@dataclass(frozen=True, slots=True)
class TilesetSettings:
    """One tileset's settings, detached from the database. A setting that is None or empty is as the source has it."""

    name: str
    title: str
    kind: str
    sources: tuple[str, ...]
    format: str = ""
    min_zoom: int | None = None
    max_zoom: int | None = None
    tile_size: int = 256
    attribution: str = ""
    rescale: str = ""
    colormap: str = ""
    permissions: tuple[str, ...] = ()
    """The permissions needed to read it: its own, if it is not public, and that of its layer, if that is not public."""
    variant: str = ""
    """A name for each other way to show the same tileset, such as in another tile size."""

    @property
    def key(self) -> str:
        """Different for each source, and for each way to show it."""
        return "\0".join((self.name, self.variant, self.kind, *self.sources))

    @property
    def source_kind(self) -> SourceKind:
        """The kind of its source."""
        return source_kind(self.kind)

    @property
    def public(self) -> bool:
        """Whether anybody may read it."""
        return not self.permissions

    @property
    def is_vector(self) -> bool:
        """Whether its tiles are vector tiles, by its settings. The tiles of a file may be as well."""
        return self.source_kind.is_vector or self.format == "mvt"

    def readable_by(self, user: Any) -> bool:
        """Whether the user may read it. May ask the database for permissions."""
        return self.public or bool(user.is_authenticated and user.has_perms(self.permissions))

    def require_kind(self, kind: str) -> None:
        """`StreamError("wrong_tileset_kind")` unless it is of this kind."""
        if self.kind != kind:
            raise StreamError(
                "wrong_tileset_kind", f"this needs a tileset of the kind {kind}, and {self.name!r} is of the kind {self.kind}"
            )

    def override(self, source: TileMetadata) -> TileMetadata:
        """The source's metadata with what the settings override.

        Of finished tiles, settings can only take zooms away.
        """
        low = source.min_zoom if self.min_zoom is None else self.min_zoom
        high = source.max_zoom if self.max_zoom is None else self.max_zoom
        if not self.source_kind.any_zoom:
            low, high = max(low, source.min_zoom), min(high, source.max_zoom)
        finished = source.format == "mvt" or (self.source_kind.has_files and not self.source_kind.any_image)
        size = source.tile_size if finished else self.tile_size
        return replace(source, min_zoom=low, max_zoom=high, tile_size=size, attribution=self.attribution or source.attribution)


def tileset_settings(tileset: Tileset, layers: Mapping[str, Layer] | None = None) -> TilesetSettings:
    """The settings of a row. With `layers`, the row's layer is not read from the database."""
    name = source_kind(tileset.kind).layer_name(tileset.source)
    layer: Layer | None = None
    if name is not None:
        layer = Layer.objects.filter(name=name).first() if layers is None else layers.get(name)
    return TilesetSettings(
        name=tileset.name,
        title=tileset.title or tileset.name,
        kind=tileset.kind,
        sources=tuple(line.strip() for line in tileset.source.splitlines() if line.strip()),
        format=tileset.format,
        min_zoom=tileset.min_zoom,
        max_zoom=tileset.max_zoom,
        tile_size=tileset.tile_size,
        attribution=tileset.attribution,
        rescale=tileset.rescale,
        colormap=tileset.colormap,
        permissions=tuple(_permissions(tileset, layer)),
    )


def check_tileset(tileset: Tileset) -> list[str]:
    """Check a row before it is saved, by drawing its source; returns what people should be warned of.

    `ValidationError` for settings that contradict each other, or a source that cannot be read or drawn.
    """
    tileset.clean()
    if not tileset.kind:
        return []
    try:
        return try_tileset(tileset_settings(tileset))
    except StreamError as error:
        raise ValidationError({"source": error.message}, code=error.code) from error


def _permissions(tileset: Tileset, layer: Layer | None) -> Iterator[str]:
    if not tileset.public:
        yield tileset.permission or "streaming.view_tileset"
    if layer is not None and not layer.public:
        yield layer.permission or "streaming.view_layer"


def _read_tilesets() -> dict[str, TilesetSettings]:
    layers = {layer.name: layer for layer in Layer.objects.all()}
    return {tileset.name: tileset_settings(tileset, layers) for tileset in Tileset.objects.all()}


tilesets = Catalogue("tileset", _read_tilesets)


@receiver([post_save, post_delete], sender=Tileset)
@receiver([post_save, post_delete], sender=Layer)
def _saved(**kwargs: Any) -> None:
    """New settings hold at once in this process, elsewhere within `GEOSTREAM_AUTH_CACHE_SECONDS`."""
    tilesets.clear()
