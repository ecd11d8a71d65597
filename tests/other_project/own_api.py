"""The project's own API, and a view of a part that it plugs into GeoStream's."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from streaming.api.base import ApiView


def teapot(exc: Exception, context: dict[str, Any]) -> Response:
    """The project's exception handler."""
    return Response({"teapot": True}, 418)


class OwnView(APIView):
    def get(self, request: Request) -> Response:
        raise NotFound


class PartView(ApiView):
    def delete(self, request: Request) -> Response:
        return Response(status=204)
