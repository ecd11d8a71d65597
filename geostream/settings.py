"""Django settings of the GeoStream project: wiring only.
Everything is set by environment variables; `docs/settings.md` lists them. Settings of the streaming engine itself are in
`streaming/engine/conf.py`.
"""

from __future__ import annotations

import os
import secrets
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from streaming.engine.environment import env_boolean, env_choice, env_list, env_whole_number

BASE_DIR = Path(__file__).resolve().parent.parent


GEOSTREAM_DATA_DIR = Path(os.environ.get("GEOSTREAM_DATA_DIR", BASE_DIR / "var"))


def _make_data_dir() -> None:
    try:
        GEOSTREAM_DATA_DIR.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"GEOSTREAM_DATA_DIR is {str(GEOSTREAM_DATA_DIR)!r}, which cannot be made: {error.strerror}") from None


DEBUG = env_boolean("GEOSTREAM_DEBUG", True)


def _secret_key() -> str:
    if key := os.environ.get("GEOSTREAM_SECRET_KEY"):
        return key
    if not DEBUG:
        raise ImproperlyConfigured(
            "GEOSTREAM_SECRET_KEY must be set when GEOSTREAM_DEBUG is off. "
            'To make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    _make_data_dir()
    path = GEOSTREAM_DATA_DIR / "secret-key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


SECRET_KEY = _secret_key()
JWT_SECRET = os.environ.get("GEOSTREAM_JWT_SECRET") or sha256(f"geostream.jwt:{SECRET_KEY}".encode()).hexdigest()
ALLOWED_HOSTS = env_list("GEOSTREAM_ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]", "testserver"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = [origin for origin in env_list("GEOSTREAM_ALLOWED_ORIGINS") if origin != "*"]

INSTALLED_APPS = [
    *(["daphne"] if "runserver" in sys.argv else []),  # nothing else needs it, and it takes a quarter of a second to import
    "geostream.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "leaflet",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "streaming",
    "streaming.features",
    "streaming.tiles",
    "streaming.redis_data",
    "streaming.topics",
    "streaming.files",
    "streaming.ingestion",
    "streaming.api",
    "streaming.pages",
    "streaming.operators",
    "streaming.dialects.geo",
    "streaming.dialects.phoenix",
    "streaming.dialects.redis_commands",
    "streaming.dialects.file_sync",
    "processes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "streaming.engine.compression.StaticCompression",
    "geostream.static_files.StaticFiles",
    "streaming.engine.content_security_policy.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "geostream.page_language.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "geostream.urls"
ASGI_APPLICATION = "geostream.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

try:
    database = dj_database_url.config(default=f"sqlite:///{GEOSTREAM_DATA_DIR / 'geostream.sqlite3'}")
except ValueError:
    raise ImproperlyConfigured("DATABASE_URL is not a URL such as postgres://user:password@host/name") from None
DATABASES: dict[str, Any] = {"default": database}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    _make_data_dir()
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
elif pool := env_whole_number("GEOSTREAM_DATABASE_POOL", 0):
    DATABASES["default"]["OPTIONS"] = {**database.get("OPTIONS", {}), "pool": {"min_size": 1, "max_size": pool}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis: REDIS_URL, or what streaming/server/embedded_redis.py finds or starts when the first connection is made.
GEOSTREAM_REDIS_RESOLVER = "streaming.server.embedded_redis.resolve"
CHANNEL_LAYERS = {"default": {"BACKEND": "streaming.channel_layer.ChannelLayer", "CONFIG": {}}}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "streaming:login"

SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SECRET,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "UPDATE_LAST_LOGIN": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "GeoStream",
    "DESCRIPTION": "Live geospatial layers: ingest and query over HTTP; subscribe [over WebSockets](../asyncapi/), "
    "with a map as in the [examples](../../examples/).",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # Swagger UI from our own static files, so that /api/docs/ works without the internet.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Those of the pages. The browser's, or what was chosen there; of none of them this one.
LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French"), ("es", "Spanish")]
LANGUAGE_CODE = env_choice("GEOSTREAM_LANGUAGE", "EN", [code.upper() for code, _ in LANGUAGES]).lower()
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "streaming" / "locale"]  # `makemessages` puts the texts of `templates/` there, for both are in the wheel
TIME_ZONE = "UTC"
USE_TZ = True

MEDIA_ROOT = GEOSTREAM_DATA_DIR / "media"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Browser libraries, when `npm ci` was run.
STATICFILES_DIRS = [
    (f"npm/{name}", BASE_DIR / "node_modules" / name)
    for name in ("@msgpack/msgpack", "fzstd")
    if (BASE_DIR / "node_modules" / name).is_dir()
]
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_MIMETYPES = {".geojson": "application/geo+json"}  # proxies compress what they know to be text
# A folder of one's own, such as a front end, whose files are served at `/`.
if static_path := os.environ.get("GEOSTREAM_STATIC_PATH"):
    if not Path(static_path).is_dir():
        raise ImproperlyConfigured(f"GEOSTREAM_STATIC_PATH is {static_path!r}, which is not a folder")
    SERVESTATIC_ROOT = Path(static_path).resolve()

# Results of processes that are too large for a message.
MEDIA_ROOT = GEOSTREAM_DATA_DIR / "media"

# Bodies of ingest requests are read as streams and bounded there (GEOSTREAM_MAX_BODY_BYTES).
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

if not DEBUG:
    SECURE_CONTENT_TYPE_NOSNIFF = True
    SESSION_COOKIE_SECURE = env_boolean("GEOSTREAM_SECURE_COOKIES", True)
    CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SESSION_COOKIE_SECURE
    SECURE_HSTS_SECONDS = env_whole_number("GEOSTREAM_HSTS_SECONDS", 0)
# Left to the proxy (deploy/nginx.conf redirects to HTTPS; here, publishing would pass through all middleware for it), and to whoever has
# the domain (HSTS for its other names, and in browsers' lists).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

LOG_FORMATS = ("LINE", "JSON")
LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "LINE": {"()": "streaming.engine.log_format.LineFormatter", "format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "JSON": {"()": "streaming.engine.log_format.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": env_choice("GEOSTREAM_LOG_FORMAT", "LINE", LOG_FORMATS)}},
    "root": {"handlers": ["console"], "level": env_choice("GEOSTREAM_LOG_LEVEL", "INFO", LOG_LEVELS)},
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},  # Django's own handler would print each line a second time
        "daphne": {"level": "WARNING"},
        "django.channels.server": {"level": "CRITICAL"},  # prints queries, with tokens in them; django.request says the same without
        "channels_redis": {"level": "ERROR"},
        "rasterio": {"level": "WARNING"},  # of GDAL's errors, which are raised as well
        "watchfiles": {"level": "WARNING"},
    },
}
