"""How long deliveries take: the first and the last client of each run, and what has waited."""

from __future__ import annotations

from time import time

from streaming.core.audience import _Found
from streaming.core.deliveries import Delivery
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.histogram import Histogram
from streaming.core.items import Item
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.runs import RunQueue
from streaming.core.view import View

from .doubles import RecordingEncoder, RecordingSender


def aged(seconds: float, key: str = "a") -> Delivery:
    return Delivery("added", key, Item(key, b'{"type":"Feature"}', int((time() - seconds) * 1000)), "e", 1)


def view_of(encoder: RecordingEncoder, latency: Histogram) -> View:
    outbox = Outbox(RecordingSender(), OutboxLimits(), lambda why: None)
    outbox.latency = latency
    return View(outbox, encoder, compile_filter(FilterSpec()))


def test_a_value_is_counted_by_its_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 7.0):
        histogram.observe(value)
    assert histogram.buckets == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == 10.0


def test_histograms_add_up() -> None:
    one, other = Histogram((1.0,)), Histogram((1.0,))
    one.observe(0.5)
    other.observe(3.0)
    assert ((one + other).counts, (one + other).total) == ([1, 1], 3.5)


def test_of_a_run_the_first_and_the_last_client_are_measured() -> None:
    latency, encoder = Histogram(), RecordingEncoder()
    runs: RunQueue[View] = RunQueue()
    runs.add(_Found([aged(0.3)], [view_of(encoder, latency) for _ in range(10)]))
    runs.deliver()
    assert sum(latency.counts) == 2
    assert 0.6 <= latency.total < 2.0


def test_a_single_client_is_measured_once() -> None:
    latency = Histogram()
    runs: RunQueue[View] = RunQueue()
    runs.add(_Found([aged(0.3)], [view_of(RecordingEncoder(), latency)]))
    runs.deliver()
    assert sum(latency.counts) == 1


def test_what_waits_for_a_slow_client_is_measured_when_it_is_written() -> None:
    latency = Histogram()
    view = view_of(RecordingEncoder(), latency)
    sender = view.outbox.sender
    assert isinstance(sender, RecordingSender)
    sender.take(0)
    view.deliver([aged(4.0)], {})
    assert not sum(latency.counts)
    sender.take(None)
    assert (sum(latency.counts), latency.total >= 4.0) == (1, True)


def test_a_deletion_is_not_measured() -> None:
    latency = Histogram()
    view_of(RecordingEncoder(), latency).deliver([Delivery("deleted", "a", None, "e", 1)], {})
    assert not sum(latency.counts)
