"""The live map, the pages for topics, the two questions a load balancer asks, and those of monitoring."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from secrets import compare_digest

from channels.db import database_sync_to_async
from django.contrib import admin
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from streaming.api.authentication import bearer_token
from streaming.api.errors import refusal
from streaming.core.errors import StreamError
from streaming.core.redis import async_redis, refusing
from streaming.engine.conf import conf
from streaming.engine.runtime import get_runtime, running
from streaming.features.layers import catalogue
from streaming.tiles.tilesets import tilesets

COUNTRIES = "streaming/demo/countries-110m.geojson"
FZSTD = "streaming/vendor/fzstd/index.mjs"
PHOENIX_SOCKET = "/socket"
OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


def live_map(request: HttpRequest) -> HttpResponse:
    """The map page, with the layers and tilesets this user may read."""
    layers = [
        {"name": layer.name, "title": layer.title, "time_property": layer.time_property}
        for layer in catalogue.all_sync().values()
        if layer.readable_by(request.user)
    ]
    config = {
        "ws_path": "/ws",
        "layers": layers,
        "tilesets": [
            {"name": tileset.name, "title": tileset.title, "vector": tileset.kind == "layer" or tileset.format == "mvt"}
            for tileset in tilesets.all_sync().values()
            if tileset.readable_by(request.user)
        ],
        "countries_url": static(COUNTRIES),
        "login_url": "/admin/login/?next=/",
        "user": request.user.get_username() or None,
        "fzstd_url": static(FZSTD),
    }
    return render(request, "streaming/map.html", {"config": config})


def channels_test(request: HttpRequest) -> HttpResponse:
    """A page for trying topics out, as far as whoever looks at it is given tokens: `?name=alice&topic=room:1`."""
    config = {
        "socket_url": PHOENIX_SOCKET,
        "token_url": reverse("channel-token"),
        "name": request.GET.get("name", "").strip() or request.user.get_username() or "anonymous",
        "topic": request.GET.get("topic", "").strip() or "room:1",
        "csrf": get_token(request),
    }
    return render(request, "streaming/channels_test.html", {"config": config})


def operators(request: HttpRequest) -> HttpResponse:
    """Sockets, topics and members of all processes, live: a page of the admin."""
    config = {"socket_url": PHOENIX_SOCKET, "login_url": f"{reverse('admin:login')}?next={request.path}"}
    return render(request, "streaming/operators.html", {**admin.site.each_context(request), "title": "Operators", "config": config})


async def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon."""
    return HttpResponseRedirect(static("streaming/favicon.svg"))


async def alive(request: HttpRequest) -> HttpResponse:
    """200 while the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


async def ready(request: HttpRequest) -> HttpResponse:
    """200 when the process can serve: Redis and the database answer, the hub runs and the bus hears. 503 says what does not."""
    runtime = running()
    checks = {
        "redis": await _redis_answers(),
        "database": await _database_answers(),
        "hub": runtime is not None,
        "bus": runtime is not None and runtime.topics.bus.connected,
    }
    return JsonResponse({"ready": all(checks.values()), "checks": checks}, status=200 if all(checks.values()) else 503)


@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of all live processes; with `?scope=process`, of the one that answers."""
    if not await _may_scrape(request):
        return refusal(
            StreamError("forbidden", "metrics are for whoever has GEOSTREAM_METRICS_TOKEN; without one, for staff and this machine")
        )
    try:
        runtime = await get_runtime()
    except StreamError as error:
        return refusal(error)
    text, content_type = await runtime.exposition.answer(request.headers.get("Accept", ""), request.GET.get("scope") != "process")
    return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})


async def _may_scrape(request: HttpRequest) -> bool:
    if conf.METRICS_TOKEN:
        return compare_digest((bearer_token(request) or "").encode(), conf.METRICS_TOKEN.encode())
    if from_this_machine(request):
        return True
    user = await request.auser()
    return user.is_active and user.is_staff


def from_this_machine(request: HttpRequest) -> bool:
    """Whether the peer is on this machine, and does not speak for somebody else as proxies do."""
    if any(header in request.headers for header in OF_PROXIES):
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a name, or the socket of a proxy
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


async def _redis_answers() -> bool:
    try:
        with refusing():
            await async_redis().ping()
    except StreamError:
        return False
    return True


@database_sync_to_async
def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))
