"""What the parts' pages in the admin have in common: their URLs, the navigation between them, and how one is rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.module_loading import import_string

from .registry import all_admin_pages, all_admin_panels

SOCKET = "/socket"
"""Where pages that are live open their WebSocket, in Phoenix's dialect."""


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page as the navigation shows it."""

    title: str
    summary: str
    address: str
    current: bool


def admin_urlpatterns() -> list[URLPattern]:
    """The URLs of all pages."""
    patterns = []
    for page in all_admin_pages():
        if page.url:
            continue
        patterns.append(path(f"admin/{page.name}/", _guarded(page.view, page.permission), name=f"admin-{page.name}"))
        for name, (route, view) in page.routes.items():
            patterns.append(path(f"admin/{page.name}/{route}", _guarded(view, page.permission), name=f"admin-{page.name}-{name}"))
    return patterns


def page_links(request: HttpRequest) -> list[PageLink]:
    """The pages that this user may see, in the order of the navigation."""
    links = []
    for page in all_admin_pages():
        if page.permission and not request.user.has_perm(page.permission):
            continue
        try:
            address = reverse(page.url_name)
        except NoReverseMatch:  # of a part whose admin is not there
            continue
        links.append(PageLink(page.title, page.summary, address, request.path.startswith(address)))
    return links


def rendered_panels(request: HttpRequest) -> list[str]:
    """The pieces of the admin's first page that this user may see."""
    panels: list[str] = []
    for panel in all_admin_panels():
        if panel.permission and not request.user.has_perm(panel.permission):
            continue
        context = import_string(panel.context)(request) if panel.context else {}
        panels.append(render_to_string(panel.template, context, request))
    return panels


def page_config(request: HttpRequest, **more: Any) -> dict[str, Any]:
    """What the scripts of a page read: where its socket is, and where to log in again."""
    return {"socket_url": SOCKET, "login_url": f"{reverse('admin:login')}?next={request.path}", **more}


def render_page(request: HttpRequest, template: str, title: str, config: Mapping[str, Any] | None = None, **context: Any) -> HttpResponse:
    """A page of the admin: a template that extends `streaming/admin_page.html`. `config` is what its scripts read besides."""
    common = {**admin.site.each_context(request), "title": title, "admin_pages": page_links(request)}
    return render(request, template, {**common, "page_config": page_config(request, **(config or {})), **context})


def _guarded(view: str, permission: str) -> Callable[..., HttpResponseBase]:
    """A view for those who may log in to the admin and have the permission. It is imported when somebody first asks for it."""

    def permitted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if permission and not request.user.has_perm(permission):
            raise PermissionDenied
        if _has_nul(request):
            raise BadRequest("a text holds the character NUL, which databases cannot store")
        response: HttpResponseBase = import_string(view)(request, *args, **kwargs)
        return response

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = admin.site.admin_view(permitted)(request, *args, **kwargs)  # the site is known once all is loaded
        return response

    return guarded


def _has_nul(request: HttpRequest) -> bool:
    """Whether it is in the path, the query or a form; PostgreSQL's driver refuses it, and what was done already would be in no log."""
    values = (value for values in (request.GET, request.POST) for _, each in values.lists() for value in each)
    return "\0" in request.path or any("\0" in value for value in values)
