"""What the module of processes on the live map is told: addresses of this site, and what the user of the page may."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token

from streaming.core.pattern_map import split_list
from streaming.engine.auth import Principal
from streaming.engine.conf import conf

from .identity import may_execute
from .site import Site


def config(request: HttpRequest) -> dict[str, Any]:
    """Its configuration: JSON."""
    site = Site.of_page()
    return {
        "urls": {"landing": f"{site.base}/", "processes": site.processes, "jobs": site.jobs},
        "csrf": get_token(request),
        "user": request.user.is_authenticated,
        "may_execute": may_execute(Principal(request.user)),
        "result_names": _result_names(request.user),
    }


def _result_names(user: Any) -> str | None:
    """Which layers the user's jobs may create: a name, or the beginning of names and `*`; None: no layer."""
    if user.has_perms(("streaming.add_layer", "streaming.change_layer")):
        return "*"
    open_names = split_list(conf.PROCESS_OPEN_NAMES)
    return next((each for each in open_names if each.endswith("*")), next(iter(open_names), None))
