"""The commands `worker_token` and `workers`."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from processes.models import Worker, WorkerToken
from processes.workers.tokens import find_token

from ..rows import make_process, make_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def announced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    messages = list[tuple[str, dict[str, Any]]]()
    for module in ("processes.workers.tokens", "processes.management.commands.workers"):
        monkeypatch.setattr(f"{module}.announce", lambda kind, **fields: messages.append((kind, fields)))
    return messages


def printed(*command: str) -> str:
    output = StringIO()
    call_command(*command, stdout=output)
    return output.getvalue().strip()


def test_a_number_that_cannot_be_is_named() -> None:
    with pytest.raises(CommandError, match="'0' is not a whole number from 1"):
        printed("worker_token", "create", "machine", "--days", "0")


def test_a_token_is_made_and_shown_once() -> None:
    text = printed("worker_token", "create", "machine", "--process", "buffer", "--process", "demo-*", "--max-workers", "2", "--days", "7")
    found = find_token(text)
    assert found is not None and (found.patterns, found.max_workers) == (("buffer", "demo-*"), 2) and found.expires is not None
    assert text not in printed("worker_token", "list") and "machine" in printed("worker_token", "list")
    assert printed("worker_token", "list").splitlines()[0].split("\t") == ["name", "token", "processes", "state", "connected"]
    with pytest.raises(CommandError, match="already"):
        printed("worker_token", "create", "machine")


def test_a_token_is_revoked_and_all_processes_are_notified(announced: list[Any]) -> None:
    text = printed("worker_token", "create", "machine")
    assert printed("worker_token", "revoke", "machine") == "revoked: 1"
    assert find_token(text) is None and announced == [("processes.tokens", {})]
    assert "revoked" in printed("worker_token", "list")
    with pytest.raises(CommandError, match="no token"):
        printed("worker_token", "revoke", "machine")
    assert printed("worker_token", "create", "machine") != text


def test_connected_workers_are_listed() -> None:
    worker = make_worker("w", make_process())
    assert printed("workers").split("\t") == ["worker", "jobs", "connected for", "node", "offers"]
    Worker.objects.filter(pk=worker.pk).update(node="a-node", suspect=True)
    _, row = printed("workers").splitlines()
    assert row.startswith("w\t0/4 jobs") and row.endswith("a-node\tgreet 1.0.0 suspect")
    assert WorkerToken.objects.count() == 1


def test_workers_are_asked_to_leave(announced: list[Any]) -> None:
    printed("workers", "--drain", "--reconnect-after", "3")
    assert announced == [("processes.drain", {"node": "", "seconds": 3.0})]
