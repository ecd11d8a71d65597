"""systemd is told what a service of `Type=notify` has to say."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from streaming.server import systemd


def test_a_state_is_sent_to_the_socket_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        systemd.notify(systemd.READY)
        assert listening.recv(100) == b"READY=1"
        systemd.notify(systemd.reloading())
        assert listening.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_nobody_is_told_where_systemd_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify(systemd.READY)


def test_a_socket_that_is_gone_is_no_concern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    systemd.notify(systemd.READY)
