"""The pages as an installed part: the live map, the one for trying topics out, and the examples."""

from __future__ import annotations

from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class PagesConfig(EngineApp):
    """Pages."""

    name = "streaming.pages"
    label = "streaming_pages"
    verbose_name = "Pages"
    requires = ("streaming.features", "streaming.tiles", "streaming.api", "django.contrib.staticfiles")
    urlconf = "streaming.pages.urls"
    settings = (
        Setting("EXAMPLE_LIBRARIES", "https://cdn.jsdelivr.net/npm/", "where examples load map libraries from, as npm has them"),
        Setting("MAP_FEATURES", 5000, "features of one layer in view that the map shows as such; of more it shows cells", least=1),
    )
