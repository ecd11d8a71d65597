"""The URLs of processes, from the root of the site."""

from __future__ import annotations

from .http.urls import urlpatterns

__all__ = ["urlpatterns"]
