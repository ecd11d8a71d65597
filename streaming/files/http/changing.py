"""Deleting, moving, and making directories."""

from __future__ import annotations

from typing import Any

from streaming.engine.conf import conf

from ..folder import Folder
from ..paths import clean_path
from ..service import FilesService
from .request import Answer, Request


async def delete(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`DELETE /api/delete?path=`, of a directory with all that is in it with `recursive=true`."""
    path = request.path_parameter()
    request.require("delete", path)
    await folder.delete(path, request.actor, request.condition, request.flag("recursive", False))
    return Answer(204)


async def rename(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/rename` with `{"from", "to"}`."""
    body = await request.json()
    source, target = _path(body, "from"), _path(body, "to")
    for right, path in (("read", source), ("delete", source), ("write", target)):
        request.require(right, path)
    await folder.move(source, target, request.actor)
    return await _described(folder, target, 200)


async def make_directory(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/mkdir` with `{"path"}`."""
    path = _path(await request.json(), "path")
    request.require("write", path)
    await folder.make_directory(path, request.actor)
    return await _described(folder, path, 201)


async def _described(folder: Folder, path: str, status: int) -> Answer:
    record = await folder.feed.record(path)
    if record is None:
        await folder.refresh()
    return Answer(status, folder.index.metadata(path) if record is None else record.metadata(path))


def _path(body: dict[str, Any], name: str) -> str:
    return clean_path(body.get(name), conf.FILES_DEPTH)
