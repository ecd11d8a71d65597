"""The URLs of the engine."""

from __future__ import annotations

from django.urls import path
from django.views.i18n import set_language

from . import languages, views

urlpatterns = [
    path("healthz", views.alive, name="healthz"),
    path("readyz", views.ready, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    path("geostream/language/", set_language, name="set-language"),
    path("geostream/texts/<slug:language>.<slug:version>.js", languages.texts, name="texts"),
]
