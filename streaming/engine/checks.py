"""System checks of what tokens are signed with: whoever knows the key can be anybody; and that the project's channels can be loaded.

With an error of these `manage.py serve` and `runserver` do not start; nobody has to remember `check --deploy`.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from rest_framework_simplejwt import settings as simplejwt

from streaming.dialects.redis_commands.names import readable
from streaming.dialects.redis_commands.policies import policies
from streaming.topics.routes import topic_patterns

from .conf import conf

KEY_BYTES = 32
"""What HS256 needs (RFC 7518, 3.2)."""
DISTINCT_CHARACTERS = 5
HOW = 'Set {} to a key of your own: python -c "import secrets; print(secrets.token_urlsafe(48))"'

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
    algorithm = simplejwt.api_settings.ALGORITHM
    if not algorithm.startswith("HS"):
        return [Error(f"SIMPLE_JWT's ALGORITHM is {algorithm}; channel tokens need HS256.", id="streaming.E003")]
    if len(key.encode()) < KEY_BYTES:
        return [
            Error(
                f"Tokens are signed with a key of less than {KEY_BYTES} bytes.",
                hint=HOW.format("GEOSTREAM_JWT_SECRET"),
                id="streaming.E001",
            )
        ]
    if settings.DEBUG:
        return []
    keys = {"GEOSTREAM_SECRET_KEY": settings.SECRET_KEY, "GEOSTREAM_JWT_SECRET": key}
    return [
        Error("Tokens are signed with a key that everybody knows, or can guess.", hint=HOW.format(variable), id="streaming.E002")
        for variable, value in keys.items()
        if is_well_known(value)
    ]


@register(Tags.security)
def check_open_tokens(**kwargs: Any) -> list[CheckMessage]:
    """Nobody opens a server in production unknowingly."""
    if conf.OPEN_TOKENS and not settings.DEBUG:
        hint = "Set GEOSTREAM_OPEN_TOKENS to 0 and name the topics that are for everybody in GEOSTREAM_PUBLIC_TOPICS."
        return [Warning("POST /token gives anybody a token for any topic but admin.", hint=hint, id="streaming.W001")]
    return []


@register()
def check_topics(**kwargs: Any) -> list[CheckMessage]:
    """The project's channels can be loaded; without this every join of every topic would fail, one by one."""
    try:
        topic_patterns(conf.TOPICS, bool(conf.OPEN_TOPICS))
    except (ImportError, AttributeError, ImproperlyConfigured) as error:
        hint = "GEOSTREAM_TOPICS names a module with `topicpatterns`, such as myproject.topics."
        return [Error(f"The channels of GEOSTREAM_TOPICS={conf.TOPICS} cannot be loaded: {error}", hint=hint, id="streaming.E004")]
    return []


@register()
def check_redis_commands(**kwargs: Any) -> list[CheckMessage]:
    """What clients may read of Redis can be understood; else the first of them would find out."""
    try:
        readable(conf.REDIS_READABLE)
        policies(conf.REDIS_SLOW)
    except ImproperlyConfigured as error:
        return [Error(f"GEOSTREAM_REDIS_READABLE or GEOSTREAM_REDIS_SLOW cannot be read: {error}", id="streaming.E005")]
    return []


def is_well_known(key: str) -> bool:
    """Whether a key is a placeholder, perhaps repeated, or has hardly any different characters."""
    if key.startswith("django-insecure-") or len(set(key)) < DISTINCT_CHARACTERS:
        return True
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    return any(_repeats(word, plain) for word in WELL_KNOWN)


def _repeats(word: str, text: str) -> bool:
    return len(text) >= len(word) and (word * (len(text) // len(word) + 1)).startswith(text)
