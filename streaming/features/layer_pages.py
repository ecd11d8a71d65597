"""What staff do with a layer in the admin: publish to it, look into it as a subscriber would, empty it, rename it; and mute publishers.

Every act is an entry in the admin's log. The pages say so where Redis does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import get_script_prefix, reverse
from django.views.decorators.http import require_GET, require_POST

from streaming.core.errors import StreamError
from streaming.core.json_decoding import decode_json
from streaming.engine.admin_views import render_page
from streaming.engine.basemap import base_map
from streaming.engine.leaflet import leaflet_files
from streaming.models import Layer

from .clearing import clear
from .ingest import IngestResult
from .layers import catalogue, feature_counts, layer_feed
from .muting import Mute, lift, mute, muted
from .publishing import publish
from .renaming import rename_layer
from .subscribers import subscriber_count

SHOWN = 500
"""Layers on the page."""
MAX_REASON = 200


@require_GET
def layers(request: HttpRequest) -> HttpResponse:
    """The layers with what is in them, and the publishers that are muted."""
    search = request.GET.get("q", "").strip()
    found = list(Layer.objects.filter(name__icontains=search).order_by("name")[: SHOWN + 1])
    counts = feature_counts([layer.name for layer in found[:SHOWN]])
    rows = [(layer, counts.get(layer.name)) for layer in found[:SHOWN]]
    problem = _try(muted.read_sync)
    context: dict[str, Any] = {"rows": rows, "more": len(found) > SHOWN, "search": search, "mutes": muted.all(), "problem": problem}
    return render_page(request, "streaming/layers_page.html", "Layers", **context)


@require_GET
def layer(request: HttpRequest, name: str) -> HttpResponse:
    """One layer: live, through a filter; and the forms."""
    row = get_object_or_404(Layer, name=name)
    config = {"layer": row.name, "ws_path": f"{get_script_prefix()}ws", "base_map": base_map()}
    context: dict[str, Any] = {"layer": row, "leaflet": leaflet_files(), "subscribers": subscriber_count(name)}
    return render_page(request, "streaming/layer_page.html", str(row), config, features=feature_counts([name]).get(name), **context)


@require_POST
def publish_feature(request: HttpRequest, name: str) -> HttpResponse:
    """Publish what is in the form: a Feature or a FeatureCollection."""
    get_object_or_404(Layer, name=name)

    def act() -> str:
        try:
            document = decode_json(request.POST.get("geojson", "").encode())
        except (ValueError, RecursionError) as error:
            raise StreamError("invalid_feature", f"this is no JSON that can be read: {error}") from error
        if not isinstance(document, dict):
            raise StreamError("invalid_feature", "a Feature or a FeatureCollection is expected")
        result = publish(name, document)
        if result.refused:
            raise StreamError(result.errors[0]["code"], f"{result.refused} of {result.total} refused: {result.errors[0]['message']}")
        return f"Published to {name}: {_counts(result)}"

    return _acted(request, name, act)


@require_POST
def empty(request: HttpRequest, name: str) -> HttpResponse:
    """Remove all features. Its subscribers see each of them go."""
    settings = catalogue.get_sync(get_object_or_404(Layer, name=name).name)
    return _acted(request, name, lambda: f"Emptied {name}: {sum(clear(layer_feed(settings)))} features removed")


@require_POST
def rename(request: HttpRequest, name: str) -> HttpResponse:
    """Give it another name."""
    row = get_object_or_404(Layer, name=name)
    new = request.POST.get("name", "").strip()

    def act() -> str:
        rename_layer(row, new)
        return f"Renamed {name} to {new}"

    return _acted(request, name, act, lambda: row.name)


@require_POST
def mute_publisher(request: HttpRequest) -> HttpResponse:
    """Mute a publisher, slow it down, or let it go again."""

    def act() -> str:
        publisher = request.POST.get("publisher", "").strip()
        kind, _, rest = publisher.partition(":")
        if kind not in ("user", "token") or not rest or len(publisher) > 300:
            raise StreamError("bad_request", "a publisher is user:<name> or token:<jti>")
        if "lift" in request.POST:
            lift(publisher)
            return f"Unmuted {publisher}"
        order = Mute(
            publisher,
            until=time.time() + _number(request, "minutes") * 60,
            rate=_number(request, "rate"),
            reason=request.POST.get("reason", "").strip()[:MAX_REASON],
            by=request.user.get_username(),
        )
        mute(order)
        return f"{'Limited' if order.rate else 'Muted'} {publisher} until {order.until_text}"

    _act(request, act)
    return HttpResponseRedirect(reverse("streaming:admin-layers"))


def _acted(request: HttpRequest, name: str, act: Callable[[], str], name_after: Callable[[], str] | None = None) -> HttpResponse:
    _act(request, act)
    return HttpResponseRedirect(reverse("streaming:admin-layers-layer", args=[name_after() if name_after else name]))


def _act(request: HttpRequest, act: Callable[[], str]) -> None:
    """Do it, log it, and say what became of it."""
    try:
        what = act()
    except StreamError as error:
        messages.error(request, f"{error.message} ({error.code})")
        return
    kind = ContentType.objects.get_for_model(Layer)
    LogEntry.objects.create(
        user_id=cast(int, request.user.pk), content_type=kind, object_repr=what[:200], action_flag=CHANGE, change_message=what
    )
    messages.success(request, what)


def _try(read: Callable[[], Any]) -> str:
    try:
        read()
    except StreamError as error:
        return error.message
    return ""


def _number(request: HttpRequest, name: str) -> float:
    try:
        number = float(request.POST.get(name) or 0)
    except ValueError:
        number = float("nan")
    if not 0 <= number <= 1e6:
        raise StreamError("bad_request", f"{name} must be a number")
    return number


def _counts(result: IngestResult) -> str:
    return f"{result.added} added, {result.updated} updated, {result.unchanged} unchanged"
