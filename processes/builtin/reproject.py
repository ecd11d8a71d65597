"""The process `reproject`: the coordinates of features in another coordinate reference system."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from processes.worker import BadInput, Feature, Input, Job
from streaming.core.errors import StreamError
from streaming.core.projection import WGS84, epsg_code, project
from streaming.features.source_crs import SourceCrs

from .features import GeoJson, Result, checked_features, members_of, reported
from .publishing import PublishTo, check_layer, publish_features

Crs = Annotated[str, Input(max_length=200, examples=["EPSG:3857", "http://www.opengis.net/def/crs/EPSG/0/2056"])]


def reproject(features: GeoJson, to_crs: Crs, from_crs: Crs = "CRS84", publish_to: PublishTo = None, *, job: Job) -> Result:
    """Reproject. The same features in another coordinate reference system.

    Coordinates are easting, northing or longitude, latitude, whatever the order of the CRS's axes. Heights stay as they are.

    Args:
        features: What is reprojected. A feature collection, a feature or a geometry.
        to_crs: The CRS of the result. An EPSG code or an OGC URI.
        from_crs: The CRS of the features. An EPSG code or an OGC URI.
        publish_to: Layer for the result. Layers are in degrees, whatever the CRS of the result.

    Returns:
        Features in the other CRS. Unless it is WGS 84, the member `crs` names it, as in GeoJSON of 2008.
    """
    check_layer(publish_to, job)
    source, target = _code(from_crs, "from_crs"), _code(to_crs, "to_crs")
    transformer = _transformer(source, target)
    found = _checked(members_of(features, "features"), source)
    made = [_projected(feature, transformer, f"features[{index}]") for index, feature in enumerate(reported(found, job.progress))]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": made}
    if target != WGS84:
        document["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{target}"}}
    publish_features(publish_to, document, job)
    return document


def _checked(members: list[Any], source: int) -> list[Feature]:
    """The features, if they are valid ones in this CRS: GeoJSON is checked in degrees."""
    in_degrees = SourceCrs(source, given=True).in_wgs84(members)
    for index, each in enumerate(in_degrees):
        if isinstance(each, StreamError):
            raise BadInput(f"features[{index}]: {each.message}", "features")
    found = checked_features(in_degrees, "features").members
    if source == WGS84:
        return list(found)
    return [{**feature, "geometry": feature["geometry"] and member["geometry"]} for feature, member in zip(found, members, strict=True)]


def _projected(feature: Feature, transformer: Transformer, place: str) -> Feature:
    made = {name: member for name, member in feature.items() if name != "crs"}
    if made["geometry"] is None:
        return made
    project(made, transformer)
    if made["geometry"] is None:
        raise BadInput(f"{place}: a position of it cannot be expressed in the other CRS", "features")
    return made


def _code(name: str, of: str) -> int:
    try:
        return epsg_code(name)
    except StreamError as error:
        raise BadInput(error.message, of) from None


@lru_cache(64)
def _transformer(source: int, target: int) -> Transformer:
    ends: list[CRS] = []
    for code, name in ((source, "from_crs"), (target, "to_crs")):
        try:
            crs = CRS.from_epsg(code)
        except ProjError:
            raise BadInput(f"EPSG:{code} does not exist", name) from None
        if not (crs.is_projected or crs.is_geographic):
            raise BadInput(f"EPSG:{code} is not a horizontal coordinate reference system", name)
        ends.append(crs.to_2d())
    try:
        return Transformer.from_crs(ends[0], ends[1], always_xy=True)
    except ProjError:
        raise BadInput(f"there is no way from EPSG:{source} to EPSG:{target}", "to_crs") from None
