"""Whole syncs of `manage.py sync`, and the same with rsync and its daemon, each from a folder to an empty one and on this machine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .stack import Server, stack

FILES, FILE_BYTES, LARGE_MIB = 10_000, 4096, 1024
BLOCK = 1024 * 1024


def run(share: float, settings: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows; `settings` are those of the servers, each of which has an empty folder."""
    count, blocks = max(int(FILES * share), 200), max(int(LARGE_MIB * share), 64)
    with stack(**settings) as server:
        folder = server.folder / "small"
        for number in range(count):
            _write(folder / f"{number % 100}" / f"{number}.bin", FILE_BYTES, 1)
        yield from _transfer(server, folder, f"{count:,} files of {FILE_BYTES // 1024} KiB", count, "files/s")
    with stack(**settings) as server:
        folder = server.folder / "large"
        _write(folder / "large.bin", BLOCK, blocks)
        yield from _transfer(server, folder, f"one file of {blocks} MiB", blocks * BLOCK / 1e6, "MB/s")


def _write(path: Path, size: int, blocks: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(blocks):
            file.write(os.urandom(size))


def _transfer(server: Server, source: Path, what: str, amount: float, unit: str) -> Iterator[dict[str, Any]]:
    """Up from one client, down to another; then rsync to its daemon, without and with waiting for the disk."""
    for folder, way in ((source, "up"), (server.folder / "down", "down")):
        command = [sys.executable, "manage.py", "sync", "--server", f"http://127.0.0.1:{server.port}", "--local-path", str(folder)]
        command += ["--state-dir", str(server.folder / f"state {way}"), "--quiet"]
        yield _measured(f"`manage.py sync`, {what} {way}", command, amount, unit, server)
    shutil.rmtree(source / ".hub-trash")
    shutil.rmtree(source / ".hub-uploads")
    if shutil.which("rsync") is None:
        print("rsync is not installed here: nothing to compare with", file=sys.stderr)
        return
    for how, options in (("", ()), (", `--fsync`", ("--fsync",))):
        target = server.folder / f"rsync{len(options)}"
        target.mkdir()
        with _daemon(server.folder, target) as url:
            yield _measured(f"rsync to its daemon{how}, {what}", ["rsync", "-a", *options, f"{source}/", url], amount, unit, None)


def _measured(what: str, command: Sequence[str], amount: float, unit: str, server: Server | None) -> dict[str, Any]:
    cpu, began = server.cpu if server else 0.0, time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = 0
    while True:
        memory = max(memory, _peak_memory(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return {
        "what": what,
        "figure": round(amount / seconds, 2),
        "unit": unit,
        "server's processor time, s": round(server.cpu - cpu, 2) if server else None,
        "client's": round(used.ru_utime + used.ru_stime, 2),
        "server's memory, MB": round(server.rss / 1e6) if server else None,
        "client's, at most": round(memory / 1e6),
    }


def _peak_memory(pid: int) -> int:
    """In bytes; what `wait4` says is also of this process, of which the other was a copy at first."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


@contextmanager
def _daemon(home: Path, target: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = home / "rsyncd.conf"
    settings.write_text(f"use chroot = no\n[files]\npath = {target}\nread only = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n")
    command = ["rsync", "--daemon", "--no-detach", f"--config={settings}", f"--port={port}", "--address=127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"rsync://127.0.0.1:{port}/files/"
    finally:
        process.terminate()
        process.wait(10)
