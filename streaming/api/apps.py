"""The HTTP API as an installed part: REST, tiles and tokens."""

from __future__ import annotations

from django.apps import apps

from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class ApiConfig(EngineApp):
    """REST API."""

    name = "streaming.api"
    label = "streaming_api"
    verbose_name = "REST API"
    requires = ("streaming.features", "streaming.tiles", "streaming.topics")
    urlconf = "streaming.api.urls"
    settings = (
        Setting("LOGINS_PER_NAME", 10, "failed attempts to log in with one username in a minute, from wherever (0: any number)"),
        Setting(
            "LOGINS_PER_ADDRESS",
            30,
            "failed attempts to log in from one network address (of IPv6: from one network of 64 bits) in a minute (0: any number)",
        ),
        Setting(
            "CHANNEL_TOKENS_PER_MINUTE", 600, "requests of `POST /token` by one user or, without a login, from one address (0: any number)"
        ),
    )

    def ready(self) -> None:
        """The admin's login has the limits of `/api/token/`, unless the project has a form of its own."""
        super().ready()
        if apps.is_installed("django.contrib.admin"):
            from django.contrib import admin  # late: forms need the models

            from .login_forms import AdminLoginForm

            if admin.site.login_form is None:
                admin.site.login_form = AdminLoginForm
