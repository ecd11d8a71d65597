"""OpenTelemetry spans: of requests that publish, if it is configured; else nothing of it is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streaming.engine import spans
from tests.processes import run

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PROCESS: dict[str, Any] = {
    **{"host": "web1", "pid": 7, "deliveries": 3, "rung_ms": 1.0, "pulled_ms": 2.0},
    **{"judged_ms": 3.0, "encoded_ms": 4.0, "written_ms": 5.0, "total_ms": 15.0},
}


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "tracer", lambda: provider.get_tracer("geostream"))
    yield exporter
    provider.shutdown()


def milliseconds(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None and span.end_time is not None
    return round(span.start_time / 1e6 - 1e6, 1), round(span.end_time / 1e6 - 1e6, 1)


def test_a_request_is_a_tree_of_spans(exported: InMemorySpanExporter) -> None:
    spans.record({"traceparent": PARENT}, "layer:l", 1000.0, (1000.005, 0.003), 1000.006, [PROCESS])
    found = {span.name: span for span in exported.get_finished_spans()}
    assert {name: milliseconds(span) for name, span in found.items()} == {
        "publish layer:l": (0.0, 20.0),
        "store": (2.0, 5.0),
        "deliver layer:l": (5.0, 20.0),
        "pulled": (6.0, 8.0),
        "judged": (8.0, 11.0),
        "encoded": (11.0, 15.0),
        "written": (15.0, 20.0),
    }
    publish, deliver = found["publish layer:l"], found["deliver layer:l"]
    assert publish.parent is not None and format(publish.parent.span_id, "016x") == "b7ad6b7169203331"
    assert deliver.parent == publish.context
    assert all(found[step].parent == deliver.context for step in spans.STEPS)


def test_what_was_not_stored_has_no_store(exported: InMemorySpanExporter) -> None:
    spans.record({}, "layer:l", 1000.0, (0.0, 0.0), 1000.006, [])
    assert [span.name for span in exported.get_finished_spans()] == ["publish layer:l"]


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_its_own_variables_configure_it(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool) -> None:
    for name in (*spans.SWITCHES, "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert spans.configured() is wanted


def test_nothing_is_imported_unless_it_is_configured() -> None:
    code = "import sys; from streaming.engine.spans import record; record({}, 'f', 0, (0, 0), 0, []); print('opentelemetry' in sys.modules)"
    assert run(sys.executable, "-c", code, env={"PATH": ""}).stdout == "False\n"


def test_an_exporter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "no_such")
    with pytest.raises(ImportError, match="no_such"):
        spans._exporter_class()
