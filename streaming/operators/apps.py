"""The operators' topic, page and commands as an installed part."""

from __future__ import annotations

from streaming.engine.admin_pages import AdminPage, AdminPanel
from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class OperatorsConfig(EngineApp):
    """Operators."""

    name = "streaming.operators"
    label = "streaming_operators"
    verbose_name = "Operators"
    requires = ("streaming.topics", "django.contrib.admin", "django.contrib.staticfiles")
    services = ("streaming.operators.service.Operators", "streaming.operators.alerts.service.Alerts")
    settings = (
        Setting("STOPPED_SECONDS", 600.0, "how long the dashboard speaks of a server process that has stopped", least=1),
        Setting("ALERT_SECONDS", 5.0, "how often alert rules are judged (0: never, and webhooks are sent nothing)"),
        Setting("ALERT_HISTORY_DAYS", 30.0, "how long alerts that were resolved, and what webhooks were sent, are kept", least=0.01),
        Setting("ALERT_WEBHOOK_SECONDS", 10.0, "how long the server of a webhook may take to answer", least=0.1),
        Setting("ALERT_WEBHOOK_ATTEMPTS", 12, "how often a webhook is tried, in two hours or so, before a request is given up", least=1),
        Setting(
            "ALERT_PRIVATE_ADDRESSES",
            "",
            "comma-separated hosts, addresses and networks (`10.1.0.0/16`) where webhooks of alerts may be although they are not public",
        ),
    )
    measures = (
        Measure(
            "geostream_alerts_firing", "gauge", (), "alert rules of which something fires, in the process that judges them; 0 in others"
        ),
        Measure("geostream_alert_webhooks_total", "counter", ("outcome",), "requests to webhooks that were sent, failed, or were given up"),
    )
    topics = "streaming.operators.topics"
    urlconf = "streaming.operators.urls"
    admin_pages = (
        AdminPage("live", "Live", "streaming.operators.views.live", "processes, layers, topics and connections as they are now", order=10),
        AdminPage(
            "feeds",
            "Feeds",
            "streaming.operators.feed_pages.feeds",
            "every feed: how long, large and busy it is, and its log",
            permission="streaming.operate_topics",
            order=20,
            routes={"feed": ("feed/", "streaming.operators.feed_pages.feed"), "log": ("log/", "streaming.operators.feed_pages.log")},
        ),
        AdminPage(
            "connections",
            "Connections",
            "streaming.operators.views.connections",
            "who is connected and looks at what; disconnect, ban, see what a client holds",
            permission="streaming.view_connection",
            order=30,
        ),
    )
    admin_panels = (AdminPanel("streaming/overview.html", "streaming.operators.overview.overview", order=0),)
