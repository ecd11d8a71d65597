"""Progress of long work: reported after a second, seldom, and to those who may know of it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from streaming.features import progress as module
from streaming.features.progress import Progress
from streaming.features.server_events import server_events
from streaming.models import Layer
from tests.api.conftest import with_token
from tests.geo_peer import point
from tests.server_events import events, server_events_on

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.fixture(autouse=True)
def _on(settings: Any) -> Iterator[None]:
    with server_events_on(settings):
        yield


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes long."""
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


def progress() -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key not in ("type", "source")} for each in events() if each["type"] == "progress"]


def test_long_work_is_reported_and_short_work_is_not(clock: Clock) -> None:
    short, long = Progress("short", "layer:l", 10), Progress("long", "layer:l", 10)
    short.at(5)
    short.done()
    for done in (2, 4, 6):
        clock.now += 0.6
        long.at(done, f"{done} features")
    long.done()
    first, last = progress()
    assert first.pop("task_id") == last.pop("task_id") != ""
    assert first == {"current": 4, "total": 10, "progress_percent": 40.0, "message": "4 features"}
    assert last == {"current": 10, "total": 10, "progress_percent": 100.0}


def test_two_works_of_one_kind_can_be_told_apart(at_once: None) -> None:
    for _ in range(2):
        Progress("publish:l", "layer:l", 1).at(1)
    assert len({each["task_id"] for each in progress()}) == 2


def test_the_longer_work_takes_the_rarer_it_is_reported(clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    monkeypatch.setattr(server_events, "emit", lambda *event, **more: reports.append(clock.now) or True)
    began, work = clock.now, Progress("long", "layer:l", 36_000)
    for tenth in range(36_000):
        clock.now += 0.1
        work.at(tenth)
    assert len([at for at in reports if at - began <= 60]) == pytest.approx(55, abs=5)
    assert len(reports) < 350
    assert reports[-1] - reports[-2] > 50


def test_the_end_is_reported_however_much_else_was(clock: Clock, settings: Any) -> None:
    settings.GEOSTREAM_SERVER_EVENTS_PER_MINUTE = 2
    works = [Progress(f"work-{number}", "layer:l", 10) for number in range(4)]
    clock.now += 1.5
    for work in works:
        work.at(5)
    for work in works:
        work.done()
    assert [(each["task_id"][:6], each["current"]) for each in progress()] == [("work-0", 5), ("work-1", 5), ("work-0", 10), ("work-1", 10)]


def test_work_that_cannot_report_is_watched(at_once: None) -> None:
    measured = threading.Event()

    def measure() -> int:
        measured.set()
        return 3

    with Progress("copy", "tileset:t", 4).watched(measure, "copying"):
        assert measured.wait(10)
    assert (progress()[0]["current"], progress()[0]["message"]) == (3, "copying")
    assert progress()[-1]["progress_percent"] == 100.0


def test_work_that_fails_does_not_end_with_all_done(at_once: None) -> None:
    with pytest.raises(ValueError, match="damaged"), Progress("copy", "tileset:t", 4).watched(lambda: 3):
        while not events():
            pass
        raise ValueError("damaged")
    assert {each["current"] for each in progress()} == {3}


def lines(count: int) -> bytes:
    return b"".join(json.dumps(point(number, 0, 0)).encode() + b"\n" for number in range(count))


def test_a_published_file_is_reported_in_bytes(at_once: None, tmp_path: Path) -> None:
    path = tmp_path / "features.geojsonl"
    path.write_bytes(lines(3))
    call_command("publish", str(path), layer="l", stdout=io.StringIO(), stderr=io.StringIO())
    assert progress()[-1]["total"] == path.stat().st_size


@pytest.mark.parametrize("kind", ["application/geo+json", "application/x-ndjson"])
def test_what_is_published_over_rest_is_reported(at_once: None, kind: str) -> None:
    Layer.objects.create(name="l")
    admin = with_token(User.objects.create_superuser("admin"))
    features = [point(number, 0, 0) for number in range(300)]
    body = lines(300) if "nd" in kind else json.dumps({"type": "FeatureCollection", "features": features}).encode()
    assert admin.post("/api/layers/l/features", body, content_type=kind).status_code == 200
    assert progress()[-1]["current"] == progress()[-1]["total"] == (len(body) if "nd" in kind else 300)
