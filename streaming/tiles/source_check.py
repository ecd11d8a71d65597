"""Whether the source of a tileset can be read, asked before the tileset is saved."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from streaming.core.errors import StreamError
from streaming.models import Tileset

from .source_kinds import open_source
from .tilesets import tileset_settings


def check_tileset(tileset: Tileset) -> None:
    """`ValidationError` for settings that contradict each other, or a source that cannot be read, which is opened to see."""
    tileset.clean()
    if tileset.kind:
        try:
            open_source(tileset_settings(tileset)).close()
        except StreamError as error:
            raise ValidationError({"source": error.message}, code=error.code) from error
