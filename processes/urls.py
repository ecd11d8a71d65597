"""The URLs of processes, from the root of the site."""

from __future__ import annotations

from django.urls import path

from streaming.engine.conf import conf
from streaming.engine.raw_http import raw_view

from .http.urls import urlpatterns as ogc_urlpatterns
from .workers.blob_requests import answer_blob_request

urlpatterns = [
    path(f"{conf.PROCESS_PATH.strip('/')}/worker/blobs/<uuid:blob>", raw_view(answer_blob_request), name="ogc-worker-blob"),
    *ogc_urlpatterns,
]
