"""What the address of the WebSocket says to those who do not open one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path


def upgrade_required(request: HttpRequest) -> HttpResponse:
    """Refusal 426."""
    headers = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    return HttpResponse("this is a WebSocket\n", status=426, content_type="text/plain", headers=headers)


urlpatterns = [path("ws/files", upgrade_required)]
