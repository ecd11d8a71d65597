"""Everything that the installed parts have over HTTP."""

from __future__ import annotations

from .engine.registry import all_urlpatterns

app_name = "streaming"
urlpatterns = all_urlpatterns()
