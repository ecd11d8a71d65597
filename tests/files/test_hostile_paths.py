"""Paths, links, devices and names that differ in case only: nothing outside of the folder is read or written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from streaming.files.disk_store import DiskStore

from .http_peer import HttpPeer
from .on_disk import everything
from .vectors import VECTORS

BAD = [path for vector in VECTORS["paths"] if "error" in vector and isinstance(path := json.loads(vector["json"]), str)]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("secret")
    return folder


async def test_no_request_takes_a_bad_path(root: Path, http: HttpPeer, outside: Path) -> None:
    for bad in BAD:
        path = quote(bad.encode(errors="surrogatepass"))
        for answer in (
            await http.put(path, b"x"),
            await http.get(f"/api/download?path={path}"),
            await http.get(f"/api/metadata?path={path}"),
            await http.request("DELETE", f"/api/delete?path={path}"),
        ):
            assert (answer.status, answer.code) == (400, "path"), bad
        if not any(0xD800 <= ord(character) < 0xE000 for character in bad):
            assert (await http.post("/api/mkdir", {"path": bad})).code == "path"
            assert (await http.post("/api/rename", {"from": bad, "to": "x"})).code == "path"
            assert (await http.post("/api/rename", {"from": "x", "to": bad})).code == "path"
    assert everything(root) == {}
    assert everything(outside) == {"secret.txt": b"secret"}


async def test_links_lead_nowhere(root: Path, http: HttpPeer, outside: Path) -> None:
    (root / "file").symlink_to(outside / "secret.txt")
    (root / "dir").symlink_to(outside)
    for url in ("file", "dir/secret.txt"):
        assert (await http.get(f"/api/download?path={url}")).status == 404
        assert (await http.get(f"/api/metadata?path={url}")).status == 404
        assert (await http.request("DELETE", f"/api/delete?path={url}")).status == 404
    assert (await http.put("dir/new.txt", b"x")).code == "not_a_directory"
    assert (await http.put("file", b"x")).code == "exists"
    await http.put("mine.txt", b"mine")
    assert (await http.post("/api/rename", {"from": "mine.txt", "to": "dir/mine.txt"})).code == "not_a_directory"
    assert (await http.post("/api/rename", {"from": "mine.txt", "to": "file"})).code == "exists"
    assert (await http.post("/api/mkdir", {"path": "dir/new"})).code == "not_a_directory"
    assert [each["path"] for each in (await http.get("/api/list")).json()] == ["mine.txt"]
    assert everything(outside) == {"secret.txt": b"secret"}


@pytest.mark.parametrize("name", [".hub-uploads", ".hub-trash"])
def test_links_in_the_place_of_the_servers_own_folders_are_refused(name: str, tmp_path: Path, outside: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).symlink_to(outside)
    with pytest.raises(OSError):
        DiskStore(tmp_path / "files").open()


@pytest.mark.parametrize("swapped", ["the directory", "the file"])
async def test_a_link_that_appears_while_a_file_is_uploaded(swapped: str, root: Path, http: HttpPeer, outside: Path) -> None:
    await http.put("dir/old.txt", b"old")

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        if swapped == "the directory":
            (root / "dir").rename(root / "moved")
            (root / "dir").symlink_to(outside)
        else:
            (root / "dir/new.txt").symlink_to(outside / "secret.txt")
        yield b"second"

    answer = await http.put("dir/new.txt", body())
    assert answer.status in (201, 409), answer.body
    assert everything(outside) == {"secret.txt": b"secret"}
    assert sorted(os.listdir(outside)) == ["secret.txt"]


async def test_directories_that_are_swapped_again_and_again(root: Path, http: HttpPeer, outside: Path) -> None:
    """Whatever moment a link takes the place of a directory, what is written goes into the folder or nowhere."""
    (root / "dir").mkdir()
    stop = False

    def swap() -> None:
        while not stop:
            shutil.rmtree(root / "aside", ignore_errors=True)
            with contextlib.suppress(OSError):  # the server makes a directory where there is none
                os.rename(root / "dir", root / "aside")
                os.symlink(outside, root / "dir")
                os.unlink(root / "dir")
                os.rename(root / "aside", root / "dir")
            if (root / "dir").is_symlink():
                os.unlink(root / "dir")

    swapping = asyncio.create_task(asyncio.to_thread(swap))
    try:
        for number in range(20):
            await http.put(f"dir/{number}.txt", b"x" * number)
            await http.get(f"/api/download?path=dir/{number}.txt")
            await http.request("DELETE", f"/api/delete?path=dir/{number}.txt")
    finally:
        stop = True
        await swapping
    assert everything(outside) == {"secret.txt": b"secret"}


async def test_devices_pipes_and_sockets_are_not_there(root: Path, http: HttpPeer) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        names = ["pipe", "socket"]
        with contextlib.suppress(PermissionError):  # only root makes devices
            os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            names.append("zero")
        for name in names:
            assert (await http.get(f"/api/download?path={name}")).status == 404
            assert (await http.put(name, b"x")).code == "exists"
    assert (await http.get("/api/list")).json() == []


async def test_twins_are_refused(http: HttpPeer) -> None:
    await http.put("maps/Zürich.tif", b"x")
    for twin in ("maps/zürich.tif", "MAPS/other.tif", quote("maps/Zu\u0308RICH.tif"), "Maps"):
        answer = await http.put(twin, b"y")
        assert (answer.status, answer.code) == (409, "case_conflict"), twin
    assert (await http.post("/api/mkdir", {"path": "MAPS"})).code == "case_conflict"
    assert (await http.post("/api/rename", {"from": "maps/Zürich.tif", "to": "maps/zürich.tif"})).status == 200


async def test_twins_at_the_same_moment(root: Path, http: HttpPeer) -> None:
    names = ["new/1.txt", "NEW/2.txt", "New/3.txt", "nEW/4.txt"]
    answers = await asyncio.gather(*(http.put(name, name.encode()) for name in names))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert len([name for name in os.listdir(root) if not name.startswith(".hub")]) == 1
