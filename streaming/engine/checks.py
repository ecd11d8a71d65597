"""System checks of what the engine needs: the key that tokens are signed with, Redis, and the channel layer.

With an error of these `manage.py serve` and `runserver` do not start; nobody has to remember `check --deploy`.
"""

from __future__ import annotations

import os
import re
from contextlib import closing
from difflib import get_close_matches
from typing import Any

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework_simplejwt import settings as simplejwt

from streaming.core.redis_address import parse_address
from streaming.core.redis_pools import blocking_pool

from .conf import conf
from .origins import allowed_origins
from .redis import configured_url, redis_is_configured
from .registry import all_settings

KEY_BYTES = 32
"""What HS256 needs (RFC 7518, 3.2)."""
DISTINCT_CHARACTERS = 5
HOW = 'Set {} to a key of your own: python -c "import secrets; print(secrets.token_urlsafe(48))"'
SECRET_KEY = "GEOSTREAM_SECRET_KEY, or the setting SECRET_KEY,"
SIGNING_KEY = "GEOSTREAM_JWT_SECRET, or SIMPLE_JWT's SIGNING_KEY,"

CLOSE = 0.94
"""How alike two names are, from 0 to 1, of which one is probably the other, misspelt."""

MEGABYTE = 1024 * 1024
PUBSUB_BYTES = 256 * MEGABYTE
"""What should at least be allowed to wait in Redis for a subscriber."""

WELL_KNOWN = {
    *("secret", "secretkey", "secretkeyhere", "mysecret", "mysecretkey", "yoursecret", "yoursecretkey", "yoursecretkeyhere", "supersecret"),
    *("supersecretkey", "jwtsecret", "jwtsecretkey", "yourjwtsecret", "your256bitsecret", "topsecret", "verysecret", "notsecret"),
    *("changeme", "changeit", "changethis", "changemeplease", "replaceme", "replacethis", "password", "passw0rd", "admin", "default"),
    *("test", "testing", "testkey", "testsecret", "example", "examplekey", "insecure", "key", "development", "dev", "devsecret", "debug"),
    *("tangram", "geostream", "django", "phoenix", "channel", "token", "0123456789", "1234567890", "123456789", "12345678", "1234"),
    *("abcdefghijklmnopqrstuvwxyz", "0123456789abcdef", "qwerty", "letmein", "placeholder", "keepitsecret", "thisisasecret"),
}
"""Placeholders of documents and examples, without case and punctuation; also repeated until they are long enough."""


@register(Tags.security)
def check_signing_key(**kwargs: Any) -> list[CheckMessage]:
    """The key of the tokens is long enough, of the right kind and, in production, not one that everybody knows."""
    key = simplejwt.api_settings.SIGNING_KEY
    if os.environ.get("GEOSTREAM_JWT_SECRET") not in (None, "", key):
        hint = 'SIMPLE_JWT = {"SIGNING_KEY": os.environ["GEOSTREAM_JWT_SECRET"]}'
        return [Error("GEOSTREAM_JWT_SECRET is set, and the project's settings do not use it.", hint=hint, id="streaming.E013")]
    algorithm = simplejwt.api_settings.ALGORITHM
    if not algorithm.startswith("HS"):
        return [Error(f"SIMPLE_JWT's ALGORITHM is {algorithm}; channel tokens need HS256.", id="streaming.E003")]
    if len(key.encode()) < KEY_BYTES:
        return [
            Error(
                f"Tokens are signed with a key of less than {KEY_BYTES} bytes.",
                hint=HOW.format(SIGNING_KEY),
                id="streaming.E001",
            )
        ]
    if settings.DEBUG:
        return []
    keys = {SECRET_KEY: settings.SECRET_KEY, SIGNING_KEY: key}
    return [
        Error("Tokens are signed with a key that everybody knows, or can guess.", hint=HOW.format(name), id="streaming.E002")
        for name, value in keys.items()
        if is_well_known(value)
    ]


@register()
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Every `GEOSTREAM_…` of the environment can be read; else the first request that needs it would fail."""
    errors = list[CheckMessage]()
    for setting in all_settings():
        try:
            getattr(conf, setting.name)
        except ImproperlyConfigured as error:
            errors.append(Error(str(error), id="streaming.E010"))
    return errors


@register()
def check_spelling(**kwargs: Any) -> list[CheckMessage]:
    """A `GEOSTREAM_…` that nearly is a setting, but is none, would be silently ignored."""
    known = {f"GEOSTREAM_{setting.name}" for setting in all_settings()}
    given = {name for name in {*os.environ, *dir(settings)} if name.startswith("GEOSTREAM_")}
    messages = list[CheckMessage]()
    for name in sorted(given - known):
        if similar := get_close_matches(name, known, n=1, cutoff=CLOSE):
            messages.append(Warning(f"There is no setting {name}.", hint=f"Do you mean {similar[0]}?", id="streaming.W003"))
    return messages


@register()
def check_channel_layer(**kwargs: Any) -> list[CheckMessage]:
    """Server processes notify each other through it."""
    if "default" in getattr(settings, "CHANNEL_LAYERS", {}):
        return []
    hint = 'CHANNEL_LAYERS = {"default": {"BACKEND": "streaming.channel_layer.ChannelLayer"}}'
    return [Error("There is no channel layer.", hint=hint, id="streaming.E006")]


@register()
def check_redis(**kwargs: Any) -> list[CheckMessage]:
    """Without Redis nothing can be published or received."""
    if not redis_is_configured():
        return [Error("Redis is not configured.", hint='Set REDIS_URL, such as "redis://localhost:6379".', id="streaming.E007")]
    try:
        parse_address(configured_url() or "redis://")
    except ValueError as error:
        return [Error(f"REDIS_URL cannot be read: {error}.", id="streaming.E017")]
    return []


@register()
def check_pubsub_buffer(**kwargs: Any) -> list[CheckMessage]:
    """A burst of messages does not make Redis end the connection of a server process. Not checked where Redis does not say."""
    limit = _pubsub_limit(configured_url())
    if limit is None or limit == 0 or limit >= PUBSUB_BYTES:
        return []
    megabytes = PUBSUB_BYTES // MEGABYTE
    hint = f"client-output-buffer-limit pubsub {2 * megabytes}mb {megabytes}mb 60"
    message = f"Redis ends the connection of a process for which {limit / MEGABYTE:.0f} MB of messages wait: bursts on topics may be lost."
    return [Warning(message, hint=f"In redis.conf: {hint}", id="streaming.W004")]


@register(Tags.security, deploy=True)
def check_openness(**kwargs: Any) -> list[CheckMessage]:
    """Nobody serves every name, or pages of every site, or gives its metrics away, without knowing."""
    found = list[CheckMessage]()
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Set GEOSTREAM_ALLOWED_HOSTS to the names of the site: pages of others could pretend to be of this one."
        found.append(Warning("ALLOWED_HOSTS has a *: the server answers to every name.", hint=hint, id="streaming.W020"))
    if "*" in allowed_origins():
        hint = "Set GEOSTREAM_ALLOWED_ORIGINS to the sites whose pages are to connect."
        found.append(Warning("GEOSTREAM_ALLOWED_ORIGINS has a *: pages of every site may connect.", hint=hint, id="streaming.W021"))
    if not conf.METRICS_TOKEN:
        hint = "Set GEOSTREAM_METRICS_TOKEN: " + HOW.partition(": ")[2]
        message = "Behind a proxy that sends no X-Forwarded-For, /metrics is for everybody: there is no GEOSTREAM_METRICS_TOKEN."
        found.append(Warning(message, hint=hint, id="streaming.W022"))
    return found


def _pubsub_limit(url: str) -> int | None:
    """The bytes that may wait for a subscriber at any time (0: any number); None if that cannot be found out."""
    if not url:
        return None  # a Redis that is started here is configured here
    try:
        pool = blocking_pool(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
        with closing(redis.Redis.from_pool(pool)) as client:
            answer: Any = client.config_get("client-output-buffer-limit")
        words = next(iter(answer.values())).split()
        return int(words[words.index("pubsub") + 1])
    except (redis.RedisError, OSError, ValueError, StopIteration):
        return None


def is_well_known(key: str) -> bool:
    """Whether a key is a placeholder, perhaps repeated, or has hardly any different characters."""
    if key.startswith("django-insecure-") or len(set(key)) < DISTINCT_CHARACTERS:
        return True
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    return any(_repeats(word, plain) for word in WELL_KNOWN)


def _repeats(word: str, text: str) -> bool:
    return len(text) >= len(word) and (word * (len(text) // len(word) + 1)).startswith(text)
