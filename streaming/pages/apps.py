"""The pages as an installed part: the live map, and the one for trying topics out."""

from __future__ import annotations

from streaming.engine.registry import EngineApp


class PagesConfig(EngineApp):
    """Pages."""

    name = "streaming.pages"
    label = "streaming_pages"
    verbose_name = "Pages"
    requires = ("streaming.features", "streaming.tiles", "streaming.api", "django.contrib.staticfiles")
    urlconf = "streaming.pages.urls"
