"""What the user of a job may read and write: what they may over HTTP, and what `GEOSTREAM_PROCESS_OPEN_NAMES` lets everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import close_old_connections

from processes.worker import BadInput, Job, JobFailed
from streaming.core.errors import StreamError
from streaming.core.pattern_map import PatternMap, split_list
from streaming.engine.catalogue import Catalogue, Guarded
from streaming.engine.conf import conf
from streaming.features.layer_creation import check_layer_name
from streaming.features.layers import LayerSettings, catalogue
from streaming.models import Layer, Tileset
from streaming.tiles.tilesets import TilesetSettings, tilesets

S = TypeVar("S", bound=Guarded)


@contextmanager
def database() -> Iterator[None]:
    """Around what asks the database in a thread of the worker, which leaves no connection open behind it."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def user_of(job: Job) -> Any:
    """The user of a job, or Django's `AnonymousUser`. `JobFailed` for one who is gone, or not active any more."""
    if job.user is None:
        return AnonymousUser()
    user = get_user_model()._default_manager.filter(pk=job.user, is_active=True).first()
    if user is None:
        raise _forbidden("the user of the job does not exist, or is not active")
    return user


def readable_layer(name: str, job: Job, name_of_input: str = "layer") -> LayerSettings:
    """A layer that the user may read. `BadInput` for any other: one that is hidden is as one that is not there."""
    return _readable(catalogue, name, job, name_of_input)


def readable_tileset(name: str, job: Job, name_of_input: str = "tileset") -> TilesetSettings:
    """The same of a tileset."""
    return _readable(tilesets, name, job, name_of_input)


def _readable(known: Catalogue[S], name: str, job: Job, name_of_input: str) -> S:
    with database():
        user = user_of(job)
        try:
            found = known.get_sync(name)
            if found.readable_by(user):
                return found
            raise known.hidden_sync(name)
        except StreamError as error:
            raise BadInput(error.message, name_of_input) from None


def require_writable_layer(name: str, job: Job, name_of_input: str = "publish_to") -> None:
    """`JobFailed` unless the user may publish to this layer, and create it if it does not exist."""
    try:
        check_layer_name(name)
    except StreamError as error:
        raise BadInput(error.message, name_of_input) from None
    with database():
        if not is_open(name):
            needed = ["streaming.change_layer"] + ([] if Layer.objects.filter(name=name).exists() else ["streaming.add_layer"])
            _require(user_of(job), needed, f"the layer {name}")


def require_writable_tileset(name: str, job: Job) -> None:
    """`JobFailed` unless the user may paint over this tileset, and create it if it does not exist."""
    with database():
        if not is_open(name):
            needed = ["streaming.change_tileset"] + ([] if Tileset.objects.filter(name=name).exists() else ["streaming.add_tileset"])
            _require(user_of(job), needed, f"the tileset {name}")


def is_open(name: str) -> bool:
    """Whether jobs of anybody may write a layer or tileset of this name."""
    return PatternMap(dict.fromkeys(split_list(conf.PROCESS_OPEN_NAMES), True)).get(name) is not None


def _require(user: Any, permissions: list[str], what: str) -> None:
    lacking = [each for each in permissions if not user.has_perm(each)]
    if lacking:
        names = split_list(conf.PROCESS_OPEN_NAMES)
        otherwise = f"; jobs of everybody may publish to {', '.join(names)}" if names else ""
        raise _forbidden(f"to publish to {what}, the user of the job needs the permission {' and '.join(lacking)}{otherwise}")


def _forbidden(detail: str) -> JobFailed:
    return JobFailed(detail, title="Forbidden", status=403)
