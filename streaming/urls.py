"""The URLs of all installed parts. A project includes them at any path; their names are in the namespace `streaming`."""

from __future__ import annotations

from .engine.registry import all_urlpatterns

app_name = "streaming"
urlpatterns = all_urlpatterns()
