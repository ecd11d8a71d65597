"""Bodies of requests: of JSON, and of a bounded size."""

from __future__ import annotations

from django.http import HttpRequest

from processes.descriptions.media_types import is_json
from streaming.engine.conf import conf

from .exceptions import OgcError


def read_json_body(request: HttpRequest) -> bytes:
    """The body; empty if there is none. `OgcError` 413 or 415."""
    limit = conf.PROCESS_BODY_BYTES
    declared = request.META.get("CONTENT_LENGTH") or ""
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    body = request.read(limit + 1)  # never more of it in memory
    if len(body) > limit:
        raise too_large(limit)
    content_type = request.META.get("CONTENT_TYPE") or ""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise OgcError(415, "compressed bodies are not taken here", headers={"Accept-Encoding": "identity"})
    if body.strip() and not is_json(content_type):
        raise OgcError(
            415, f"the body must be application/json, not {content_type[:100] or 'of no type'}", headers={"Accept-Post": "application/json"}
        )
    return body


def too_large(limit: int) -> OgcError:
    """The refusal of a body."""
    return OgcError(413, f"the body is larger than {limit} bytes; put large inputs where a link can lead")
