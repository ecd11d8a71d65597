"""Everything that the installed parts have over HTTP."""

from __future__ import annotations

from .engine.registry import all_urlpatterns

urlpatterns = all_urlpatterns()
