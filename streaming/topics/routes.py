"""Routes: which channel serves which topic. Patterns in order, as in Django's URL configuration.

The project's own, in the module that `GEOSTREAM_TOPICS` names, come before the built-in ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.registry import complete_apps

from .names import check_pattern, is_pattern, matches

if TYPE_CHECKING:
    from .channel import Channel

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A topic, or a beginning of topics and `*`, and the channel behind it."""

    pattern: str
    channel: type[Channel]

    def subtopic(self, name: str) -> str:
        """What `*` stands for in a topic that matches."""
        return name[len(self.pattern) - 1 :] if is_pattern(self.pattern) else ""


def topic(pattern: str, channel: type[Channel]) -> TopicPattern:
    """Topics like `pattern` are served by `channel`: `topic("room:*", RoomChannel)`."""
    try:
        check_pattern(pattern)
    except StreamError as error:
        raise ImproperlyConfigured(f"{pattern!r}: {error.message}") from error
    return TopicPattern(pattern, channel)


def resolve(name: str) -> TopicPattern | None:
    """The first pattern that matches a topic, None if there is none."""
    return next((entry for entry in topic_patterns(conf.TOPICS, bool(conf.OPEN_TOPICS)) if matches(entry.pattern, name)), None)


@cache
def topic_patterns(module: str, open_topics: bool) -> Sequence[TopicPattern]:
    """The project's own patterns in their order, then those of the installed parts, the most specific first.

    `open_topics`: every other topic is open to clients that have a token for it, and bridged to Redis.
    """
    own = import_module(module).topicpatterns if module else []
    if not all(isinstance(entry, TopicPattern) for entry in own):
        raise ImproperlyConfigured(f"topicpatterns of {module} (GEOSTREAM_TOPICS) must be made with streaming.topics.topic()")
    installed = [entry for entry in _installed_patterns() if open_topics or entry.pattern != EVERYTHING]
    return (*own, *sorted(installed, key=_generality))


def _installed_patterns() -> Iterator[TopicPattern]:
    """Those of the modules that apps name: the attribute `topics` of an `AppConfig` is the dotted path of one with `topicpatterns`."""
    for config in complete_apps():
        if module := getattr(config, "topics", None):
            yield from import_module(module).topicpatterns


def _generality(entry: TopicPattern) -> tuple[bool, int]:
    return is_pattern(entry.pattern), -len(entry.pattern)
