"""What workers use over HTTP."""

from __future__ import annotations

from django.urls import path

from .blob_requests import answer_blob_request

http_urlpatterns = [path("ogc/worker/blobs/<uuid:blob>", answer_blob_request)]  # type: ignore[arg-type]  # an ASGI application
