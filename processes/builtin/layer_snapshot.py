"""The process `layer-snapshot`: the features of a live layer as they are now."""

from __future__ import annotations

from typing import Annotated, Any

from processes.worker import CRS84, BadInput, BBox, FeatureCollection, Input, Job, Output
from streaming.core.errors import StreamError
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.engine.conf import conf
from streaming.features.layers import layer_feed

from .features import reported
from .publishing import PublishTo, check_layer, publish_features
from .refusals import refusals
from .rights import readable_layer

LayerName = Annotated[str, Input(title="Layer", description="The name of a layer that you may read.", max_length=100)]
Condition = Annotated[
    str | dict[str, Any] | None,
    Input(title="Filter", description="CQL2 on the properties: text, or CQL2-JSON.", examples=["altitude_ft > 30000"]),
]
Interval = Annotated[
    str | None,
    Input(title="Time", description="An instant or an interval.", max_length=100, examples=["2018-08-01T05:00:00Z/.."]),
]
INPUT_OF = {"invalid_bbox": "bbox", "invalid_datetime": "datetime", "invalid_filter": "filter"}
"""The inputs that errors are about."""


def layer_snapshot(
    layer: LayerName,
    bbox: BBox | None = None,
    datetime: Interval = None,
    filter: Condition = None,
    publish_to: PublishTo = None,
    *,
    job: Job,
) -> Annotated[FeatureCollection, Output(id="features")]:
    """Layer snapshot. The features of a live layer as they are now.

    Args:
        layer: Layer.
        bbox: Box in degrees. West beyond east crosses the antimeridian.
        datetime: Time.
        filter: Filter.
        publish_to: Layer for the result.

    Returns:
        Features. In the order of their ids.
    """
    check_layer(publish_to, job)
    found = readable_layer(layer, job)
    condition = condition_of(found.time_property, bbox, datetime, filter)
    with refusals():
        items = sorted(layer_feed(found).read_sync().items.values(), key=lambda item: item.key)
    features = [item.feature for item in reported(items, job.progress) if condition.matches(item)]
    if len(features) > conf.PROCESS_FEATURES:
        raise BadInput(f"{len(features):,} features are more than the {conf.PROCESS_FEATURES:,} that a job may have", "filter")
    made = {"type": "FeatureCollection", "features": features}
    publish_features(publish_to, made, job)
    return made


def condition_of(
    time_property: str | None, bbox: BBox | None = None, datetime: str | None = None, filter: str | dict[str, Any] | None = None
) -> Filter:
    """The compiled condition. `BadInput`."""
    if bbox is not None and (bbox.crs != CRS84 or len(bbox.bbox) != 4):
        raise BadInput(f"must be four numbers in {CRS84}", "bbox")
    spec = FilterSpec(
        bbox=None if bbox is None else bbox.bbox,
        datetime=datetime,
        filter=filter,
        filter_lang="cql2-json" if isinstance(filter, dict) else "cql2-text",
        time_property=time_property,
    )
    try:
        return compile_filter(spec, conf.MAX_POLYGON_VERTICES)
    except StreamError as error:
        raise BadInput(error.message, INPUT_OF.get(error.code, "")) from None
