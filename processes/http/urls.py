"""The URLs of OGC API - Processes. Only the landing page is also at its path with a slash at the end."""

from __future__ import annotations

from django.urls import include, path, re_path

from streaming.engine.conf import conf

from .api import ApiView
from .events import EventsView
from .execution import ExecutionView
from .job_results import OutputView, ResultsView
from .jobs import JobsView, StatusView
from .landing import ConformanceView, LandingView
from .processes import ProcessesView, ProcessView
from .view import NotFoundView

_ROOT = str(conf.PROCESS_PATH).strip("/")

_BELOW = [
    path("", LandingView.as_view()),
    path("conformance", ConformanceView.as_view(), name="ogc-conformance"),
    path("api", ApiView.as_view(), name="ogc-api"),
    path("processes", ProcessesView.as_view(), name="ogc-processes"),
    path("processes/<str:process>", ProcessView.as_view(), name="ogc-process"),
    path("processes/<str:process>/execution", ExecutionView.as_view(), name="ogc-execution"),
    path("jobs", JobsView.as_view(), name="ogc-jobs"),
    path("jobs/<str:job>", StatusView.as_view(), name="ogc-job"),
    path("jobs/<str:job>/results", ResultsView.as_view(), name="ogc-results"),
    path("jobs/<str:job>/results/<str:output>", OutputView.as_view(), name="ogc-output"),
    path("jobs/<str:job>/events", EventsView.as_view(), name="ogc-events"),
    re_path(r"", NotFoundView.as_view()),
]

urlpatterns = [
    path(_ROOT, LandingView.as_view(), name="ogc-landing"),
    path(f"{_ROOT}/", include(_BELOW)),
]
