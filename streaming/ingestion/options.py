"""The options of one file, in a small file beside it: `roads.geojson.layer.json`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streaming.core.errors import StreamError
from streaming.features.source_crs import source_code

from .errors import IngestError

MAX_BYTES = 64 * 1024
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Zoom = Annotated[int, msgspec.Meta(ge=0, le=30)]


class IngestOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What people want of a file. All of it is optional."""

    ignore: bool = False
    """The file becomes nothing."""
    name: Name | None = None
    """Of the layer or tileset, instead of what follows from the path."""
    title: Name | None = None
    attribution: Annotated[str, msgspec.Meta(max_length=500)] | None = None

    id: Name | None = None
    """The property or column with the ids of features."""
    crs: str | int | None = None
    """The CRS of the coordinates, whatever the file says."""
    table: Name | None = None
    """Of a GeoPackage."""
    longitude: Name | None = None
    latitude: Name | None = None
    """The columns of a CSV with the coordinates: longitude or easting, latitude or northing."""
    time: Name | None = None
    """The property with the time of features."""

    rescale: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    colormap: Annotated[str, msgspec.Meta(max_length=50)] | None = None
    format: Literal["png", "webp", "jpg", "avif"] | None = None
    tile_size: Literal[256, 512] | None = None
    min_zoom: Zoom | None = None
    max_zoom: Zoom | None = None

    @property
    def code(self) -> int | None:
        """The EPSG code of `crs`. `StreamError("invalid_crs")`."""
        return None if self.crs is None else source_code(self.crs)


NONE = IngestOptions()


def read_options(text: bytes) -> IngestOptions:
    """`IngestError` for what is not understood, a misspelt member too."""
    try:
        options = msgspec.json.decode(text, type=IngestOptions)
        _ = options.code
    except (msgspec.MsgspecError, UnicodeError, RecursionError, StreamError) as error:
        raise IngestError(f"its options (.layer.json) cannot be read: {error}") from None
    return options
