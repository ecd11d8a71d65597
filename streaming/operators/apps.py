"""The operators' topic, page and commands as an installed part."""

from __future__ import annotations

from streaming.engine.registry import EngineApp


class OperatorsConfig(EngineApp):
    """Operators."""

    name = "streaming.operators"
    label = "streaming_operators"
    verbose_name = "Operators"
    requires = ("streaming.topics", "django.contrib.admin", "django.contrib.staticfiles")
    services = ("streaming.operators.service.Operators",)
    topics = "streaming.operators.topics"
    urlconf = "streaming.operators.urls"
