"""System checks of topics: that the project's channels can be loaded, and that nobody gives tokens to anybody unknowingly."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from streaming.engine.conf import conf

from .routes import topic_patterns


@register(Tags.security)
def check_open_tokens(**kwargs: Any) -> list[CheckMessage]:
    """Nobody opens a server in production unknowingly."""
    if conf.OPEN_TOKENS and not settings.DEBUG:
        hint = "Set GEOSTREAM_OPEN_TOKENS to 0 and name the topics that are for everybody in GEOSTREAM_PUBLIC_TOPICS."
        return [Warning("POST /token gives anybody a token for any topic but admin.", hint=hint, id="streaming.W001")]
    return []


@register(Tags.security, deploy=True)
def check_channel_claim(**kwargs: Any) -> list[CheckMessage]:
    """A token for one topic opens no other one unknowingly."""
    if conf.CHECK_CHANNEL_CLAIM:
        return []
    hint = "Set GEOSTREAM_CHECK_CHANNEL_CLAIM to 1, unless old clients need it."
    return [Warning("A channel token for any topic opens all of them but admin.", hint=hint, id="streaming.W023")]


@register()
def check_topics(**kwargs: Any) -> list[CheckMessage]:
    """The project's channels can be loaded; without this every join of every topic would fail, one by one."""
    try:
        topic_patterns(conf.TOPICS, bool(conf.OPEN_TOPICS))
    except (ImportError, AttributeError, ImproperlyConfigured) as error:
        hint = "GEOSTREAM_TOPICS names a module with `topicpatterns`, such as myproject.topics."
        return [Error(f"The channels of GEOSTREAM_TOPICS={conf.TOPICS} cannot be loaded: {error}", hint=hint, id="streaming.E004")]
    return []
