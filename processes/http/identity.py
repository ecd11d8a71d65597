"""Who sends a request: the user of a bearer token, or of the session of a page of this site. Anybody else is nobody."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import CSRFCheck

from processes.jobs.changes import JobChange
from processes.jobs.service import Jobs
from processes.models import Job
from streaming.core.errors import StreamError
from streaming.engine.auth import ANONYMOUS, Principal, bearer_token, find_user, from_token
from streaming.engine.conf import conf

from .exceptions import OgcError

SAFE = ("GET", "HEAD", "OPTIONS")


async def principal_of(request: HttpRequest, jobs: Jobs) -> Principal:
    """Who sends a request. `StreamError` for a token that is not valid, `OgcError` for a page that has not proved to be of this site."""
    token = bearer_token(request)
    if token is not None:
        return await from_token(token, find=lambda user: jobs.read(partial(find_user, user)))  # its connection is kept open
    if "HTTP_AUTHORIZATION" in request.META:
        raise StreamError("token_invalid", "the Authorization header must be 'Bearer <token>'")
    find = getattr(request, "auser", None)
    user: Any = await find() if find is not None else None
    if user is None or not user.is_authenticated or not user.is_active:
        return ANONYMOUS
    if request.method not in SAFE:
        _check_page(request)
    return Principal(user)


def may_execute(principal: Principal) -> bool:
    """Whether somebody may have processes executed."""
    return principal.user_id is not None or bool(conf.PROCESS_ANONYMOUS)


def sees(principal: Principal, job: Job | JobChange) -> bool:
    """Whether a job is somebody's to see, and to dismiss. One without an owner is everybody's."""
    owner = job.owner if isinstance(job, JobChange) else job.owner_id
    if job.hidden:
        return False
    return owner is None or owner == principal.user_id or bool(principal.user.is_staff)


def listed(principal: Principal) -> Q:
    """The jobs that somebody is shown a list of."""
    if principal.user.is_staff:
        return Q(hidden=False)
    return Q(hidden=False, owner=principal.user_id) if principal.user_id is not None else Q(hidden=False, owner=None)


def _check_page(request: HttpRequest) -> None:
    """The CSRF token of the header only: the body is not a form."""
    check = CSRFCheck(lambda request: HttpResponse())
    check.process_request(request)
    reason = check.process_view(request, None, (), {})  # type: ignore[arg-type]  # the view is not called
    if reason:
        raise OgcError(403, f"CSRF: {reason}")
