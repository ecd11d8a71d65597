"""The engine as an installed part: the models, and what every server process runs."""

from __future__ import annotations

from .core.redis import configure, is_configured
from .engine.measures import MEASURES
from .engine.registry import EngineApp
from .engine.settings import SETTINGS


class StreamingConfig(EngineApp):
    """The engine."""

    name = "streaming"
    verbose_name = "Live layers"
    default_auto_field = "django.db.models.BigAutoField"
    services = (
        "streaming.engine.recorder.Recorder",
        "streaming.engine.metrics.MetricsService",
        "streaming.engine.work.WorkQueue",
        "streaming.engine.tracing.Tracing",
        "streaming.engine.login_review.LoginReview",
        "streaming.engine.ban_store.BanWatch",
    )
    settings = SETTINGS
    measures = MEASURES
    urlconf = "streaming.engine.urls"
    live_diagnoses = ("streaming.engine.diagnoses.redis_server.look_at_memory",)
    diagnoses = (
        "streaming.engine.diagnoses.machine.look_at_versions",
        "streaming.engine.diagnoses.machine.look_at_files",
        "streaming.engine.diagnoses.machine.look_at_disk",
        "streaming.engine.diagnoses.redis_server.look_at_redis",
        "streaming.engine.diagnoses.redis_server.look_at_latency",
        "streaming.engine.diagnoses.redis_group.look_at_group",
        "streaming.engine.diagnoses.processes.look_at_database",
        "streaming.engine.diagnoses.processes.look_at_nodes",
        "streaming.engine.diagnoses.processes.look_at_addresses",
    )

    def ready(self) -> None:
        """Configure how the core finds Redis, which it does when it first needs it."""
        from .engine import checks, signals  # noqa: F401 (registers the checks)
        from .engine.redis import find_redis

        signals.connect()
        if not is_configured():  # a test that overrides INSTALLED_APPS has this done again, and uses the Redis that it has
            configure(find_redis)
        super().ready()
