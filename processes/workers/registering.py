"""Processes come and go: operations on the rows of what workers offer, to be run by `Jobs.change`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from processes.descriptions import ProcessDescription
from processes.json_rpc import Code, RpcError
from processes.models import Process, Registration, WorkerToken
from streaming.engine.conf import conf

from .messages import Register
from .tokens import TokenRights


@dataclass(frozen=True, slots=True)
class Registered:
    """A process that a worker offers."""

    process: int
    role: str
    """created, joined or replaced."""
    warnings: tuple[str, ...]


def register(
    token: TokenRights, worker: int, message: Register, description: ProcessDescription, concurrency: int, sticky: float
) -> Registered:
    """A worker offers a process. `sticky`: how many seconds a version without workers stays the listed one. `RpcError`."""
    versions = {row.version: row for row in Process.objects.select_for_update().filter(identifier=description.id)}
    _check_owner(token, description.id, list(versions.values()))
    row, warnings = versions.get(description.version), []
    if row is None:
        _check_room(token)
        role = "replaced" if versions else "created"
        row = Process(identifier=description.id, version=description.version, digest=description.digest, description=dict(description.data))
        _make_current(row, list(versions.values()))
    elif row.digest != description.digest:
        message_text = (
            f"version {row.version} of {row.identifier} is registered with another description; give a changed process a new version"
        )
        raise RpcError(Code.VERSION_DIFFERS, message_text)
    else:
        role = "joined"
        if not _becomes_current(row, list(versions.values()), sticky):
            newest = next(each.version for each in versions.values() if each.current)
            warnings.append(f"version {newest} is the listed one; this worker does what was accepted for {row.version} before")
    for other in versions.values():
        if other.owner_id != token.pk and other.pk != row.pk:
            Process.objects.filter(pk=other.pk).update(owner=token.pk)
    row.owner_id = token.pk
    _set_options(row, message)
    row.last_online = timezone.now()
    row.save()
    Registration.objects.update_or_create(worker_id=worker, process=row, defaults={"concurrency": concurrency})
    return Registered(row.pk, role, tuple(warnings))


def unregister(worker: int, process: int) -> int:
    """A worker offers a process no more. Returns how many still do."""
    Registration.objects.filter(worker=worker, process=process).delete()
    Process.objects.filter(pk=process).update(last_online=timezone.now())
    return Registration.objects.filter(process=process).count()


def _check_owner(token: TokenRights, identifier: str, versions: list[Process]) -> None:
    if not token.allows(identifier):
        raise RpcError(Code.NOT_AUTHORISED, f"the token {token.name!r} is not for processes called {identifier!r}")
    owners = {each.owner_id for each in versions if each.owner_id not in (None, token.pk)}
    now = timezone.now()
    for owner in WorkerToken.objects.filter(pk__in=owners, revoked=None):
        if owner.expires is None or owner.expires > now:
            raise RpcError(Code.ID_TAKEN, f"the process {identifier!r} belongs to workers with another token")


def _check_room(token: TokenRights) -> None:
    """New processes and versions are rows that stay: a worker that makes up one after the other is stopped."""
    since, most = timezone.now() - timedelta(hours=1), conf.PROCESS_NEW_OF_TOKEN
    if Process.objects.filter(owner=token.pk, created__gt=since).count() >= most:
        raise RpcError(
            Code.RATE, f"{most} processes or versions were registered anew with this token within an hour, which is as many as may"
        )


def _becomes_current(row: Process, versions: list[Process], sticky: float) -> bool:
    """A version comes back: it is the listed one again if it is the newest, or if the listed one has been gone for long."""
    current = next((each for each in versions if each.current), None)
    if current is None or current.pk == row.pk or row.created > current.created:
        _make_current(row, versions)
        return True
    if Registration.objects.filter(process=current).exists() or current.pinned:
        return False
    gone = (timezone.now() - (current.last_online or current.created)).total_seconds()
    if gone > sticky:
        _make_current(row, versions)
        return True
    return False


def _make_current(row: Process, versions: list[Process]) -> None:
    others = [each for each in versions if each.current and each.pk != row.pk]
    if others:
        Process.objects.filter(pk__in=[each.pk for each in others]).update(current=False)
        row.pinned = row.pinned or any(each.pinned for each in others)
    row.current = True


def _set_options(row: Process, message: Register) -> None:
    options: dict[str, Any] = {
        "retry": message.retry.mode,
        "max_attempts": message.retry.max_attempts,
        "queue_seconds": message.timeouts.queue_seconds,
        "run_seconds": None if message.continuous else message.timeouts.run_seconds,
        "continuous": message.continuous,
        "result_check": message.result_check,
    }
    for name, value in options.items():
        setattr(row, name, value)
