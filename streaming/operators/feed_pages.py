"""The page Feeds: all of them, the log of one, and its replay."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.engine.admin_views import render_page
from streaming.engine.basemap import base_map
from streaming.engine.leaflet import leaflet_files
from streaming.engine.responses import answer, refusal

from .feeds import FeedRow, LogLine, feed_rows, find_feeds, lines_after, newest_lines, pretty

PAGE = 50
LINES = 50
REPLAY_LINES = 500


def feeds(request: HttpRequest) -> HttpResponse:
    """The feeds whose name contains `q`, a page at a time."""
    search, problem, complete = request.GET.get("q", "").strip(), "", True
    names, rows = list[str](), list[FeedRow]()
    start = _whole(request, "start") or 0
    try:
        names, complete = find_feeds(search)
        rows = feed_rows(names[start : start + PAGE])
    except StreamError as error:
        problem = error.message
    following = start + PAGE if start + PAGE < len(names) else None
    config = {"feeds": [row.name for row in rows]}
    context = {"rows": rows, "search": search, "problem": problem, "complete": complete, "total": len(names)}
    pages = {"start": start, "previous": max(start - PAGE, 0) if start else None, "following": following}
    return render_page(request, "streaming/feeds_page.html", "Feeds", config, **context, **pages)


def feed(request: HttpRequest) -> HttpResponse:
    """The log of the feed `name`, newest first, before the number `before`."""
    name, before = request.GET.get("name", ""), _whole(request, "before")
    problem, row, lines = "", None, list[LogLine]()
    try:
        row = feed_rows([name])[0]
        lines = newest_lines(name, before, LINES)
    except StreamError as error:
        problem = error.message
    shown = [{"line": line, "time": _time(line.arrived), "old": pretty(line.old), "new": pretty(line.new)} for line in lines]
    older = lines[-1].seq if len(lines) == LINES else None
    config = {
        "feeds": [name] if row else [],
        "feed": name,
        "replay_url": reverse("streaming:admin-feeds-log"),
        "features_url": _features_url(name),
        "base_map": base_map(),
    }
    context: dict[str, Any] = {"row": row, "lines": shown, "older": older, "before": before, "problem": problem, "leaflet": leaflet_files()}
    return render_page(request, "streaming/feed_page.html", name, config, name=name, **context)


def log(request: HttpRequest) -> HttpResponse:
    """The lines behind a cursor, as JSON."""
    try:
        cursor = Cursor.parse(request.GET.get("after", ""))
        lines = lines_after(request.GET.get("name", ""), cursor, REPLAY_LINES)
    except StreamError as error:
        return refusal(error)
    following = f"{cursor.epoch}:{lines[-1].seq}" if len(lines) == REPLAY_LINES else None
    return answer({"lines": [asdict(line) for line in lines], "next": following})


def _features_url(name: str) -> str | None:
    kind, _, layer = name.partition(":")
    try:
        return reverse("streaming:features", args=[layer]) if kind == "layer" else None
    except NoReverseMatch:  # no layer can have this name
        return None


def _whole(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _time(milliseconds: int | None) -> str:
    return "" if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(" ", "milliseconds")
