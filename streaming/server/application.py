"""The ASGI application that `manage.py serve` and `manage.py demo` run: the project's own, of its setting ASGI_APPLICATION."""

from __future__ import annotations

import sys
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

STATIC_MIDDLEWARE = ("servestatic.", "whitenoise.")
HOW = "from streaming.asgi import with_streams; application = with_streams(get_asgi_application())"


def load_application() -> Any:
    """The application, with static files while DEBUG is on, as under `runserver`. `ImproperlyConfigured` without GeoStream's routes."""
    path = settings.ASGI_APPLICATION
    if not path:
        raise ImproperlyConfigured('The setting ASGI_APPLICATION is missing, such as "mysite.asgi.application".')
    try:
        application = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"ASGI_APPLICATION is {path!r}, which cannot be imported: {error}") from error
    if "streaming.routing" not in sys.modules:  # `with_streams` loads it
        raise ImproperlyConfigured(f"{path} has no WebSocket routes of GeoStream. In its module: {HOW}")
    return ASGIStaticFilesHandler(application) if _needs_static_files() else application


def _needs_static_files() -> bool:
    if not (settings.DEBUG and apps.is_installed("django.contrib.staticfiles")):
        return False
    return not any(_serves_static_files(name) for name in settings.MIDDLEWARE)


def _serves_static_files(middleware: str) -> bool:
    """Whether it is one of those, or a class that is made from one."""
    classes = getattr(import_string(middleware), "__mro__", ())
    return any(each.__module__.startswith(STATIC_MIDDLEWARE) for each in classes)
