"""The process `spatial-join`: features with the properties of other features that they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from processes.worker import BadInput, Feature, Input, Job
from streaming.engine.conf import conf

from .features import Features, GeoJson, Result, read_features, valid
from .publishing import PublishTo, check_layer, publish_features

Predicate = Literal["intersects", "within", "contains", "covers", "covered_by", "touches", "crosses", "overlaps"]
Matches = Literal["first", "each"]
SLICE = 1000
"""Features that are joined between two reports."""


def spatial_join(
    features: GeoJson,
    join: GeoJson,
    predicate: Predicate = "intersects",
    matches: Matches = "first",
    keep_unmatched: bool = True,
    prefix: Annotated[str, Input(max_length=100)] = "",
    publish_to: PublishTo = None,
    *,
    job: Job,
) -> Result:
    """Spatial join. Features with the properties of other features that they meet.

    Args:
        features: Features. A feature collection, a feature or a geometry.
        join: Features whose properties are joined.
        predicate: What has to hold of a feature and one that is joined to it.
        matches: Which matches count. Only the `first` in their order, or `each`, with a feature for each of them.
        keep_unmatched: Keep features that meet none.
        prefix: Put before the names of joined properties. Those of the same name are replaced.
        publish_to: Layer for the result.

    Returns:
        Joined features. With `each`, "/1", "/2" and so on is put behind the ids of features that meet several.
    """
    check_layer(publish_to, job)
    found, others = read_features(features), read_features(join, "join")
    pairs = _pairs(found, others, predicate, job.progress)
    made: list[Feature] = []
    for index, feature in enumerate(found.members):
        met = pairs.get(index, [])
        if matches == "first" or len(met) == 1:
            made += [_joined(feature, others.members[other], prefix, "") for other in met[:1]]
        else:
            made += [_joined(feature, others.members[other], prefix, f"/{number}") for number, other in enumerate(met, 1)]
        if not met and keep_unmatched:
            made.append(feature)
        if len(made) > conf.PROCESS_FEATURES:
            raise BadInput(f"there are more than {conf.PROCESS_FEATURES:,} matches", "matches")
    document = {"type": "FeatureCollection", "features": made}
    publish_features(publish_to, document, job)
    return document


def _pairs(features: Features, join: Features, predicate: Predicate, report: Callable[[int], object]) -> dict[int, list[int]]:
    """For each feature, by its number, the numbers of those that it meets."""
    others = valid(join.geometries)
    present = np.flatnonzero(~shapely.is_missing(others))
    tree = shapely.STRtree(others[present])
    pairs: dict[int, list[int]] = {}
    geometries = valid(features.geometries)
    for start in range(0, len(geometries), SLICE):
        report(100 * start // len(geometries))
        found: NDArray[Any] = tree.query(geometries[start : start + SLICE], predicate=predicate)
        for index, other in sorted(zip((found[0] + start).tolist(), present[found[1]].tolist(), strict=True)):
            pairs.setdefault(index, []).append(other)
    return pairs


def _joined(feature: Feature, other: Feature, prefix: str, ending: str) -> Feature:
    properties = {f"{prefix}{name}": value for name, value in other["properties"].items()}
    made = {**feature, "properties": {**feature["properties"], **properties}}
    if ending and "id" in feature:
        made["id"] = f"{feature['id']}{ending}"
    return made
