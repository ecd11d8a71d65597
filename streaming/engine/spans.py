"""OpenTelemetry spans of requests that publish, where OpenTelemetry is installed and configured by its own variables (`OTEL_…`).

Otherwise nothing of it is imported. A span is made when the request is over, from the times that were noted anyway.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

SWITCHES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Any of these configures it."""
STEPS = ("pulled", "judged", "encoded", "written")
NANOSECONDS = 1_000_000_000


def configured() -> bool:
    """Whether the environment asks for spans."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not disabled and any(os.environ.get(name) for name in SWITCHES)


@cache
def tracer() -> Tracer | None:
    """Who makes the spans of this process; None if nobody asked for them, or OpenTelemetry is not installed."""
    if not configured():
        return None
    try:
        from opentelemetry import trace

        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # nobody has set one, as `opentelemetry-instrument` does
            trace.set_tracer_provider(_provider())
    except ImportError as error:
        logger.warning("there are no spans, although OTEL_… asks for them: %s", error)
        return None
    return trace.get_tracer("geostream")


def _provider() -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()  # with the resource that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say
    provider.add_span_processor(BatchSpanProcessor(_exporter_class()()))
    return provider


def _exporter_class() -> Any:
    """The exporter that OpenTelemetry's variables name. `ImportError` if its package is not installed."""
    name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for point in entry_points(group="opentelemetry_traces_exporter", name=name):
        return point.load()
    raise ImportError(f"no exporter {name!r} is installed (opentelemetry-exporter-{name.replace('_', '-')})")


def record(
    headers: Mapping[str, str], feed: str, began: float, stored: tuple[float, float], ended: float, processes: Iterable[Mapping[str, Any]]
) -> None:
    """The spans of one request: `publish`, in it `store` and, for each process that was traced, `deliver` with its steps.

    `headers` may have a `traceparent`: then the request is part of that trace. Times are seconds since 1970; `stored` is when storing
    ended, and how long it took.
    """
    made_by = tracer()
    if made_by is None:
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, set_span_in_context

    attributes = {"messaging.system": "geostream", "messaging.destination.name": feed}
    publish = made_by.start_span(f"publish {feed}", extract(headers), SpanKind.PRODUCER, attributes, start_time=_ns(began))
    inside, last = set_span_in_context(publish), ended
    at, seconds = stored
    if at:
        _span(made_by, "store", inside, at - seconds, at)
    for process in processes:
        last = max(last, at + process["total_ms"] / 1000)
        _deliver(made_by, inside, feed, at, process)
    publish.end(_ns(last))


def _deliver(made_by: Tracer, inside: Context, feed: str, stored_at: float, process: Mapping[str, Any]) -> None:
    from opentelemetry.trace import SpanKind, set_span_in_context

    attributes = {"host.name": process["host"], "process.pid": process["pid"], "geostream.deliveries": process["deliveries"]}
    span = made_by.start_span(f"deliver {feed}", inside, SpanKind.CONSUMER, attributes, start_time=_ns(stored_at))
    here = stored_at + process["rung_ms"] / 1000
    for step in STEPS:
        until = here + process[f"{step}_ms"] / 1000
        _span(made_by, step, set_span_in_context(span), here, until)
        here = until
    span.end(_ns(stored_at + process["total_ms"] / 1000))


def _span(made_by: Tracer, name: str, inside: Context, began: float, ended: float) -> None:
    made_by.start_span(name, inside, start_time=_ns(began)).end(_ns(ended))


def _ns(seconds: float) -> int:
    return int(seconds * NANOSECONDS)
