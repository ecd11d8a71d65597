"""What whoever asks may do: for clients that offer only what will not be refused."""

from __future__ import annotations

from streaming.engine.conf import conf

from ..folder import Folder
from ..rights import RIGHTS
from ..service import FilesService
from .request import Answer, Request


async def own_rights(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET /api/rights`: the directories and the rights in each, `""` being the whole folder; and the limits of uploads.

    What is below a directory has its rights as well. Nobody is refused: who may do nothing is told so.
    """
    rights: dict[str, set[str]] = {}
    for top, words in request.rights.grants:
        rights.setdefault(top, set()).update(words)
    return Answer(
        json={
            "user": request.actor.user or None,
            "rights": {top: " ".join(right for right in RIGHTS if right in words) for top, words in sorted(rights.items())},
            "max_bytes": conf.FILES_MAX_BYTES,
            "uploads_at_once": conf.FILES_UPLOADS_AT_ONCE,
        },
        headers={"Vary": "Authorization, Cookie"},
    )
