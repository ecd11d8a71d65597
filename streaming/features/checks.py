"""System check of the setting that says who may read events."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from streaming.engine.conf import conf

from .event_access import rules


@register(Tags.security)
def check_event_access(**kwargs: Any) -> list[CheckMessage]:
    """A mistake in it would be found out when the first client subscribes."""
    try:
        rules(conf.EVENT_ACCESS)
    except ImproperlyConfigured as error:
        return [Error(str(error), id="streaming.E016")]
    return []
