"""Long polling, beside each WebSocket endpoint."""

from __future__ import annotations

from django.urls import path

from .prefixes import prefixes
from .views import longpoll

urlpatterns = [path(f"{prefix}longpoll", longpoll) for prefix in prefixes()]
