"""The operators' topic, page and commands as an installed part."""

from __future__ import annotations

from streaming.engine.admin_pages import AdminPage, AdminPanel
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
    admin_pages = (
        AdminPage("live", "Live", "streaming.operators.views.live", "processes, layers, topics and connections as they are now", order=10),
        AdminPage(
            "connections",
            "Connections",
            "streaming.operators.views.connections",
            "who is connected and looks at what; disconnect, ban, see what a client holds",
            permission="streaming.view_connection",
            order=20,
        ),
    )
    admin_panels = (AdminPanel("streaming/overview.html", "streaming.operators.overview.overview", order=0),)
