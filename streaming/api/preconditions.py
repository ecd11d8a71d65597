"""Entity tags of answers, and the conditions of requests: `ETag`, `If-None-Match`, `If-Match` (RFC 9110, 8.8 and 13).

A feature's tag is its version. That of a feature shown in another CRS, or with some of its properties, has what was
asked for behind a dot, and stands for the same version in a condition. So does that of a layer: its version is that of its
settings, and behind the dot is what else is shown, such as how many features it has. Proxies that compress make tags weak (`W/`);
since a version is compared here and no bytes, a weak one counts, too.
"""

from __future__ import annotations

from hashlib import sha1

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.http import parse_etags
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.feed import version_of
from streaming.core.presentation import Presentation
from streaming.engine.responses import refusal
from streaming.features.versions import condition_of, conflict

PLAIN = Presentation()


def feature_tag(value: bytes, presentation: Presentation = PLAIN) -> str:
    """The entity tag of a feature, of its stored bytes."""
    shown = "" if presentation == PLAIN else f".{_digest(repr(presentation).encode())[:12]}"
    return f'"{version_of(value)}{shown}"'


def settings_version(row: Model) -> str:
    """The version of a row of settings. It reveals nothing of those that are hidden."""
    fields = [field for field in row._meta.concrete_fields if not getattr(field, "auto_now_add", False)]
    values = {field.attname: str(field.to_python(getattr(row, field.attname))) for field in fields}
    return salted_hmac("streaming.settings_version", repr(values)).hexdigest()


def settings_tag(row: Model, response: HttpResponse) -> str:
    """The entity tag of an answer that shows a row of settings."""
    return f'"{settings_version(row)}.{_digest(response.content)[:12]}"'


def with_tag(response: HttpResponse, request: HttpRequest | Request) -> HttpResponse:
    """The answer to a GET with its bytes' entity tag, or 304 if the client has them."""
    return unless_known(response, request, f'"{_digest(response.content)}"')


def unless_known(response: HttpResponse, request: HttpRequest | Request, tag: str) -> HttpResponse:
    """The answer to a GET with this entity tag, or 304 if `If-None-Match` names it."""
    known = parse_etags(request.META.get("HTTP_IF_NONE_MATCH", ""))
    if "*" in known or tag in (each.removeprefix("W/") for each in known):
        response = HttpResponse(status=304)
        del response["Content-Type"]  # there is no content
    response["ETag"] = tag
    response["Cache-Control"] = "no-cache"
    return response


def write_condition(request: Request) -> str:
    """The condition of a request that changes something; "" for none. `StreamError("bad_request")` for two."""
    match, none_match = request.META.get("HTTP_IF_MATCH"), request.META.get("HTTP_IF_NONE_MATCH")
    if match is not None and none_match is not None:
        raise StreamError("bad_request", "send If-Match or If-None-Match, not both")
    if match is not None:
        return condition_of(parse_etags(match))
    return "" if none_match is None else condition_of(parse_etags(none_match), negated=True)


def allows(condition: str, version: str) -> bool:
    """Whether a condition, if it is one, holds for a version that is stored."""
    wanted = condition.removeprefix("!")
    return not condition or (wanted == "*" or version in wanted.split()) != condition.startswith("!")


def conflict_answer(current: str) -> HttpResponse:
    """412, with the entity tag of what is stored."""
    response = refusal(conflict(current))
    if current:
        response["ETag"] = f'"{current}"'
    return response


def _digest(data: bytes) -> str:
    return sha1(data, usedforsecurity=False).hexdigest()
