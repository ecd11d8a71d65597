"""Feature layers and events as an installed part."""

from __future__ import annotations

from streaming.core.errors import ErrorKind
from streaming.engine.admin_pages import AdminPage
from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class FeaturesConfig(EngineApp):
    """Feature layers."""

    name = "streaming.features"
    label = "streaming_features"
    verbose_name = "Feature layers"
    services = ("streaming.features.service.FeatureService",)
    measures = (
        Measure("geostream_server_events_total", "counter", ("event_type",), "events of its own that the process has published"),
        Measure("geostream_aggregates", "gauge", (), "different aggregates that the process keeps up to date"),
        Measure("geostream_aggregate_cells", "gauge", (), "cells that these have"),
        Measure("geostream_aggregate_changes_total", "counter", (), "changes of features that were counted"),
        Measure("geostream_server_events_dropped_total", "counter", ("event_type",), "those that were too many, or lost with Redis"),
    )
    errors = (ErrorKind("muted", 403, True, "an operator has muted this publisher for a time; the message says until when"),)
    admin_pages = (
        AdminPage(
            "layers",
            "Layers",
            "streaming.features.layer_pages.layers",
            "publish to a layer, look into it, empty or rename it; publishers that are muted",
            permission="streaming.change_layer",
            order=30,
            routes={
                "mute": ("-/mute/", "streaming.features.layer_pages.mute_publisher"),
                "layer": ("<str:name>/", "streaming.features.layer_pages.layer"),
                "publish": ("<str:name>/publish/", "streaming.features.layer_pages.publish_feature"),
                "empty": ("<str:name>/empty/", "streaming.features.layer_pages.empty"),
                "rename": ("<str:name>/rename/", "streaming.features.layer_pages.rename"),
            },
        ),
    )
    settings = (
        Setting("EVENTS_LOG", 10_000, "events kept for replay", least=1),
        Setting("IDEMPOTENCY_SECONDS", 86_400, "how long an `Idempotency-Key` of an event is remembered", least=1),
        Setting("SERVER_EVENTS", True, "the server publishes events of its own"),
        Setting("SERVER_EVENTS_PER_MINUTE", 60, "events of its own of one type a process publishes a minute; more are dropped", least=1),
        Setting(
            "EVENT_ACCESS",
            "",
            "comma-separated `type=permission` or `type/source=permission` of events that are not public; also `is_staff`",
        ),
        Setting(
            "MAX_BODY_BYTES",
            64 * 1024 * 1024,
            "size of one GeoJSON document over REST (lines and text sequences that come with a token are read as a stream, without limit)",
        ),
        Setting("MAX_STYLE_BYTES", 16_384, "size of the style of a layer, as JSON"),
        Setting("MAX_FEATURE_BYTES", 1024 * 1024, "size of one feature"),
        Setting("MAX_POLYGON_VERTICES", 10_000, "vertices of a polygon used as a filter"),
        Setting("KEPT_FEATURES", 100_000, "features from which on a layer is kept in memory from a process's start on; 0: none"),
        Setting("AGGREGATE_SECONDS", 0.2, "between two rounds in which the cells of an aggregate are brought up to date", least=0.0),
        Setting("MAX_AGGREGATES", 50, "different aggregates (layer, grid, properties, filter) that one process keeps up to date", least=1),
        Setting("MAX_ADDRESS_AGGREGATES", 20, "of these, that are in use because somebody at one address asked for them first", least=1),
        Setting("MAX_CLIENT_AGGREGATES", 10, "subscriptions to aggregates of one connection"),
        Setting("MAX_AGGREGATE_CELLS", 100_000, "cells of one aggregate", least=1),
        Setting("MAX_PROCESS_AGGREGATE_CELLS", 500_000, "cells of all aggregates of one process, 1 to 2 kB each", least=1),
        Setting("MAX_AGGREGATE_PROPERTIES", 5, "properties that one aggregate sums up"),
        Setting("MAX_AGGREGATE_PROPERTY_LENGTH", 100, "characters of the name of such a property, which each cell has in it"),
        Setting("MAX_COSTLY_FILTERS", 1000, "different CQL2 expressions and geometries that one process judges changes by at once"),
        Setting("MAX_CLIENT_COSTLY_FILTERS", 100, "CQL2 expressions and geometries of one connection's subscriptions"),
    )
