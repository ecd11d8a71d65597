"""What the pages' maps have under the features: the base map that ships, or what `GEOSTREAM_BASEMAP` names."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict
from zlib import crc32

from django.apps import apps
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape

from .conf import conf

NAMES = "streaming/basemap/names.json"
ARCHIVE = "data/basemap.pmtiles"


class BaseMap(TypedDict):
    """The addresses that the map of a page needs: of vector tiles and names, or of raster tiles instead; HTML of whose they are."""

    vector: str | None
    names: str
    raster: str | None
    attribution: str


def base_map() -> BaseMap:
    """For the configuration of a page."""
    raster = conf.BASEMAP if "{z}" in conf.BASEMAP else None
    vector = None if conf.BASEMAP else _vector_tiles()
    attribution = escape(conf.BASEMAP_ATTRIBUTION) or ("" if raster else "Natural Earth")
    return {"vector": vector, "names": static(NAMES), "raster": raster, "attribution": attribution}


@lru_cache(1)
def _version() -> int | None:
    """None where the library that reads the archive is not installed."""
    if find_spec("pmtiles") is None:
        return None
    return crc32((Path(apps.get_app_config("streaming_pages").path) / ARCHIVE).read_bytes())


def _vector_tiles() -> str | None:
    """A template with the version of the archive, since browsers keep the tiles; None where there are none."""
    version = _version()
    if version is None:
        return None
    try:
        address = reverse("streaming:basemap-tile", args=(0, 0, 0))
    except NoReverseMatch:
        return None
    return f"{address.removesuffix('0/0/0.mvt')}{{z}}/{{x}}/{{y}}.mvt?v={version:08x}"
