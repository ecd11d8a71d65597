"""Tilesets as the engine sees them: `tilesets` has the settings of all of them, so that no message waits for the database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from streaming.catalogue import Catalogue
from streaming.core.errors import StreamError
from streaming.models import Tileset

from .sources.base import Metadata


@dataclass(frozen=True, slots=True)
class TilesetSettings:
    """One tileset's settings, detached from the database. What is None or empty is as the source has it."""

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
    public: bool = True
    permission: str = "streaming.view_tileset"
    variant: str = ""
    """What tells apart several ways to show one tileset, such as the size of its tiles."""

    @property
    def key(self) -> str:
        """Another one for every source, and for every way to show it."""
        return "\0".join((self.name, self.variant, self.kind, *self.sources))

    def readable_by(self, user: Any) -> bool:
        """Whether the user may read it. May ask the database for permissions."""
        return self.public or bool(user.is_authenticated and user.has_perm(self.permission))

    def require_kind(self, kind: str) -> None:
        """`StreamError("wrong_tileset_kind")` unless it is of this kind."""
        if self.kind != kind:
            raise StreamError(
                "wrong_tileset_kind", f"this needs a tileset of the kind {kind}, and {self.name!r} is of the kind {self.kind}"
            )

    def described(self, source: Metadata) -> Metadata:
        """What the source has, with what the settings say instead. Fewer zooms of finished tiles can be shown, not more."""
        low = source.min_zoom if self.min_zoom is None else self.min_zoom
        high = source.max_zoom if self.max_zoom is None else self.max_zoom
        if self.kind not in ("raster", "layer"):
            low, high = max(low, source.min_zoom), min(high, source.max_zoom)
        size = source.tile_size if source.format == "mvt" else self.tile_size
        return replace(source, min_zoom=low, max_zoom=high, tile_size=size, attribution=self.attribution or source.attribution)


def settings_of(tileset: Tileset) -> TilesetSettings:
    """A row's settings."""
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
        public=tileset.public,
        permission=tileset.permission or "streaming.view_tileset",
    )


def _read_tilesets() -> dict[str, TilesetSettings]:
    return {tileset.name: settings_of(tileset) for tileset in Tileset.objects.all()}


tilesets = Catalogue("tileset", _read_tilesets)


@receiver([post_save, post_delete], sender=Tileset)
def _saved(**kwargs: Any) -> None:
    """New settings hold at once in this process, elsewhere within `GEOSTREAM_AUTH_CACHE_SECONDS`."""
    tilesets.clear()
