"""Reads the settings that the installed parts declare: `conf.MAX_CONNECTIONS`.

Each is read from the Django setting `GEOSTREAM_<NAME>` or, without one, from the environment variable of that name.
`docs/settings.md` is checked against the declarations by a test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .environment import check_value, read_value
from .registry import all_settings, engine_apps
from .settings import SameAs, Setting


class _Conf:
    """Reads settings as attributes. Each is looked up once, for that takes longer than what most are needed for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if "_declared" not in self.__dict__:
            self.__dict__["_declared"] = {setting.name: setting for setting in all_settings()}
        setting: Setting | None = self.__dict__["_declared"].get(name)
        if setting is None:
            raise ImproperlyConfigured(f"no app in INSTALLED_APPS has the setting GEOSTREAM_{name}")
        value = self.__dict__[name] = self._look_up(setting)
        return value

    def forget(self, setting: str = "INSTALLED_APPS", **kwargs: Any) -> None:
        """A setting was changed (in a test)."""
        declared = self.__dict__.get("_declared")
        self.__dict__.clear()
        if declared is not None and setting != "INSTALLED_APPS":
            self.__dict__["_declared"] = declared

    @staticmethod
    def _look_up(setting: Setting) -> Any:
        key = f"GEOSTREAM_{setting.name}"
        default = setting.default
        if isinstance(default, SameAs):
            default = bool(getattr(settings, default.switch))
        if hasattr(settings, key):
            return check_value(key, getattr(settings, key), type(default), setting.least)
        text = os.environ.get(key)
        if text is None or (isinstance(default, bool) and not text.strip()):
            return default
        return read_value(key, text, type(default), setting.least)


conf = _Conf()


def data_dir() -> Path:
    """Where the site keeps the files that it stores; one that is not absolute begins where the project is."""
    return Path(getattr(settings, "BASE_DIR", ""), conf.DATA_DIR)


def largest_message() -> int:
    """Bytes of the largest message that any WebSocket here takes. Each connection has its own limit besides."""
    named = [app.largest_message for app in engine_apps() if app.largest_message]
    return max(int(getattr(conf, name)) for name in ("MAX_MESSAGE_BYTES", *named))


setting_changed.connect(conf.forget)
