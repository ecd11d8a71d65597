"""What pages of other sites may do with files: those of `GEOSTREAM_ALLOWED_ORIGINS` what pages of this site may."""

from __future__ import annotations

from collections.abc import Iterable

from streaming.engine.origins import allowed_origins

from .request import Answer, Request

_TAKEN = (
    *("authorization", "content-type", "if-match", "if-none-match", "range", "repr-digest", "x-client-id", "x-content-sha256"),
    *("x-csrftoken", "x-mtime", "tus-resumable", "upload-checksum", "upload-length", "upload-metadata", "upload-offset"),
)
_EXPOSED = (
    *("ETag", "Repr-Digest", "Content-Range", "Content-Disposition", "Location", "Retry-After", "Tus-Resumable", "Tus-Version"),
    *("Tus-Extension", "Tus-Max-Size", "Upload-Expires", "Upload-Length", "Upload-Offset"),
)


def preflight(methods: Iterable[str]) -> Answer:
    """The answer to a browser that asks what a page may send."""
    headers = {"Access-Control-Allow-Methods": ", ".join(methods), "Access-Control-Allow-Headers": ", ".join(_TAKEN)}
    return Answer(204, headers={**headers, "Access-Control-Max-Age": "600"})


def allow_origin(request: Request, answer: Answer) -> None:
    """Let the page that sent the request read the answer, if its origin may."""
    allowed, origin = allowed_origins(), request.headers.get("origin")
    if not allowed or origin is None:
        return
    answer.headers["Vary"] = "Origin"
    if origin in allowed and origin != "*":
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Allow-Credentials"] = "true"
    elif "*" in allowed:
        answer.headers["Access-Control-Allow-Origin"] = "*"
    else:
        return
    answer.headers["Access-Control-Expose-Headers"] = ", ".join(_EXPOSED)
