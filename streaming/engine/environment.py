"""Values of environment variables. Nothing here imports Django's settings: they are made with it."""

from __future__ import annotations

import os
from collections.abc import Collection
from math import isfinite
from typing import Any

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


def read_boolean(name: str, text: str) -> bool:
    """1, true, yes or on; 0, false, no or off; in any case. `ImproperlyConfigured` for all else."""
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be 1/0, true/false, yes/no or on/off, not {text!r}")
    return word in TRUE


def read_value(name: str, text: str, kind: type, least: float = 0) -> Any:
    """The value of a variable. `ImproperlyConfigured` if it is not of this type, or a number below `least`."""
    if kind is bool:
        return read_boolean(name, text)
    try:
        value = kind(text)
    except ValueError:
        value = text
    return check_value(name, value, kind, least)


def check_value(name: str, value: Any, kind: type, least: float = 0) -> Any:
    """The value, as a project's settings may have it: of this type, a number at least `least`; else `ImproperlyConfigured`."""
    if kind is bool:
        if value not in (0, 1):
            raise ImproperlyConfigured(f"{name} must be True or False, not {value!r}")
        return bool(value)
    if kind not in _NUMBERS:
        return value
    number, types = _NUMBERS[kind]
    is_number = isinstance(value, types) and not isinstance(value, bool)
    if not is_number or not (isfinite(value) and value >= least):
        raise ImproperlyConfigured(f"{name} must be {number} of at least {least:g}, not {value!r}")
    return value


_NUMBERS: dict[type, tuple[str, tuple[type, ...]]] = {int: ("a whole number", (int,)), float: ("a number", (int, float))}


def env_boolean(name: str, default: bool) -> bool:
    """A boolean variable of the environment; an empty one is as one that is not set."""
    text = os.environ.get(name, "")
    return read_boolean(name, text) if text.strip() else default


def env_choice(name: str, default: str, choices: Collection[str]) -> str:
    """A variable of the environment that is one of some words, in any case."""
    word = os.environ.get(name, "").strip().upper() or default
    if word not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {os.environ[name]!r}")
    return word


def env_whole_number(name: str, default: int) -> int:
    """A variable of the environment that is a whole number, at least 0; an empty one is as one that is not set."""
    text = os.environ.get(name, "").strip()
    return int(read_value(name, text, int)) if text else default


def env_list(name: str) -> list[str]:
    """A comma-separated variable of the environment."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]
