"""The page of the operators."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

PHOENIX_SOCKET = "/socket"


def operators(request: HttpRequest) -> HttpResponseBase:
    """Sockets, topics and members of all processes, live: a page of the admin, for those who may log in there."""
    return admin.site.admin_view(_page)(request)


def _page(request: HttpRequest) -> HttpResponse:
    config = {"socket_url": PHOENIX_SOCKET, "login_url": f"{reverse('admin:login')}?next={request.path}"}
    return render(request, "streaming/operators.html", {**admin.site.each_context(request), "title": "Operators", "config": config})
