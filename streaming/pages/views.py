"""The live map, the folder of files, the page for trying topics out, and the icon."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.conf import global_settings, settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.module_loading import import_string

from streaming.engine.basemap import base_map
from streaming.engine.conf import conf
from streaming.engine.leaflet import leaflet_files
from streaming.engine.registry import all_map_parts
from streaming.features.layers import LayerSettings, catalogue, feature_counts
from streaming.tiles.tilesets import tilesets

from .script_imports import preloaded

CHANGE_LAYER = "streaming.change_layer"
FZSTD = "streaming/vendor/fzstd/index.mjs"


class LoginView(auth_views.LoginView):
    """Logs in any user, not only staff, and leads back to where they came from, or to the map."""

    template_name = "streaming/login.html"
    next_page = "streaming:map"
    redirect_authenticated_user = True

    def get_form_class(self) -> Any:
        """With the limits of the REST API, where that is installed."""
        limited = apps.is_installed("streaming.api")
        return import_string("streaming.api.login_forms.LoginForm") if limited else super().get_form_class()


def live_map(request: HttpRequest) -> HttpResponse:
    """The map page, with the layers and tilesets this user may read."""
    readable = [layer for layer in catalogue.all_sync().values() if layer.readable_by(request.user)]
    counts = feature_counts([layer.name for layer in readable])
    layers = [_shown(layer, counts.get(layer.name)) for layer in readable]
    config = {
        "ws_path": _websocket_path("ws"),
        "layers": layers,
        "most_features": conf.MAP_FEATURES,
        "tilesets": [
            {"name": tileset.name, "title": tileset.title, "vector": tileset.is_vector}
            for tileset in tilesets.all_sync().values()
            if tileset.readable_by(request.user)
        ],
        "base_map": base_map(),
        "login_url": _login_url(request),
        "user": request.user.get_username() or None,
        "fzstd_url": static(FZSTD),
        "layers_url": reverse("streaming:layers"),
        **({"may_style": True, "csrf": get_token(request)} if request.user.has_perm(CHANGE_LAYER) else {"may_style": False}),
        "parts": [
            {"module": static(part.module), "config": import_string(part.config)(request) if part.config else None}
            for part in all_map_parts()
        ],
    }
    context = {
        "config": config,
        "leaflet": leaflet_files(),
        "admin_url": _admin_url(request),
        "stylesheets": [part.stylesheet for part in all_map_parts() if part.stylesheet],
        "modules": preloaded("streaming/map/main.js"),
    }
    return render(request, "streaming/map.html", context)


def _shown(layer: LayerSettings, count: int | None) -> dict[str, Any]:
    """What the map is told of a layer: as the API would."""
    names = ("name", "title", "time_property", "group", "order", "style")
    return {**{name: getattr(layer, name) for name in names}, "count": count}


def files(request: HttpRequest) -> HttpResponse:
    """The folder of files. Its scripts ask what the user may do, and for everything that is shown."""
    config = {
        "api_url": reverse("streaming:files-list").removesuffix("list"),
        "socket_url": _websocket_path("ws/files"),
        "ws_path": _websocket_path("ws"),
        "ingests": apps.is_installed("streaming.ingestion"),
        "trash_days": round(conf.FILES_TRASH_SECONDS / 86_400),
        "base_map": base_map(),
        "fzstd_url": static(FZSTD),
        "login_url": _login_url(request),
        "user": request.user.get_username() or None,
        "csrf": get_token(request),
    }
    return render(request, "streaming/files.html", {"config": config, "leaflet": leaflet_files(), "admin_url": _admin_url(request)})


def channels_test(request: HttpRequest) -> HttpResponse:
    """A page for trying topics out, with the tokens that its user may have: `?name=alice&topic=room:1`."""
    config = {
        "socket_url": _websocket_path("socket"),
        "token_url": reverse("streaming:channel-token"),
        "name": request.GET.get("name", "").strip() or request.user.get_username() or "anonymous",
        "topic": request.GET.get("topic", "").strip() or "room:1",
        "csrf": get_token(request),
    }
    return render(request, "streaming/channels_test.html", {"config": config})


async def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon."""
    return HttpResponseRedirect(static("streaming/favicon.svg"))


def _websocket_path(name: str) -> str:
    """The path of a WebSocket endpoint.

    WebSocket routes are not in the URLconf: they are at the root of the site, behind the script name if there is one.
    """
    return f"{get_script_prefix()}{name}"


def _login_url(request: HttpRequest) -> str:
    """The project's login page, which leads back here: LOGIN_URL where the project sets it, else ours."""
    url = resolve_url("streaming:login" if settings.LOGIN_URL == global_settings.LOGIN_URL else settings.LOGIN_URL)
    return f"{url}?{urlencode({REDIRECT_FIELD_NAME: request.path}, safe='/')}"


def _admin_url(request: HttpRequest) -> str | None:
    """The admin, for those who may enter it."""
    try:
        return reverse("admin:index") if request.user.is_active and request.user.is_staff else None
    except NoReverseMatch:
        return None
