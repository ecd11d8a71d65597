"""The page of the folder of files, as its users see it."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from django.apps import apps
from playwright.sync_api import BrowserContext, FilePayload, Locator, Page, Route, StorageState, expect

from ..server_process import ServerProcess
from .contexts import Contexts
from .map_page import PHONE, WatchedPage

PART_BYTES = 1000
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws:; form-action 'self'"
INK = """() => {
  const canvas = document.querySelector('.feature-canvas');
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value) => value > 0);
}"""
START_OVER = """(bytes) => {
  document.querySelector('dialog[open]')?.close();
  files.uploads.cancelAll();
  files.uploads.clear();
  files.uploads.partBytes = bytes;
}"""
SHOWN = "(name) => document.querySelector('#crumbs').dataset.text?.endsWith(name) && !files.view.loading"
Open = Callable[[str], WatchedPage]


class Folder:
    """A directory that a test has for itself, as others see it: over HTTP."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.server = server
        self.name = name
        self.url = f"{server.url}/files/#path={quote(name)}"

    def put(self, path: str, content: bytes, **options: Any) -> dict[str, Any]:
        query = urlencode({"path": f"{self.name}/{path}"})
        status, answer = self.server.request("PUT", f"/api/upload?{query}", content, "application/octet-stream", **options)
        assert status in (200, 201), answer
        return dict(answer)

    def files(self) -> dict[str, str]:
        """Paths in the directory, and the hash of each."""
        status, answer = self.server.request("GET", f"/api/list?{urlencode({'path': self.name})}")
        return {each["path"].removeprefix(f"{self.name}/"): each["hash"] for each in answer} if status == 200 else {}

    def delete(self, path: str) -> None:
        status, answer = self.server.request("DELETE", f"/api/delete?{urlencode({'path': f'{self.name}/{path}'})}")
        assert status == 204, answer


@pytest.fixture
def folder(shared_server: ServerProcess, request: pytest.FixtureRequest) -> Folder:
    return Folder(shared_server, request.node.name.removeprefix("test_")[:40].strip("_"))


@pytest.fixture(scope="module")
def kept_page(contexts: Contexts, logged_in: StorageState) -> Iterator[WatchedPage]:
    """The page on which most tests open their directories, one after the other."""
    with contexts.lend(storage_state=logged_in) as context:
        yield WatchedPage(context.new_page())


@pytest.fixture
def open_files(kept_page: WatchedPage) -> Iterator[Callable[[str], WatchedPage]]:
    """Opens a directory as `admin`, as if no other had been open; whatever goes wrong in the page fails the test."""

    def open_(url: str) -> WatchedPage:
        kept_page.troubles.clear()
        kept_page.page.goto(url)
        expect(kept_page.by_id("connection-state")).to_have_text("Live")
        kept_page.page.evaluate(START_OVER, PART_BYTES)
        kept_page.wait(SHOWN, unquote(url.partition("path=")[2]))
        return kept_page

    yield open_
    kept_page.page.unroute_all()
    kept_page.check()


@pytest.fixture
def open_with_rights(open_page: Callable[..., WatchedPage], logged_in: StorageState) -> Callable[..., Page]:
    """Opens a directory as somebody of whom the server says this."""

    def open_(url: str, **answer: Any) -> Page:
        page = open_page("about:blank", storage_state=logged_in).page
        page.route("**/api/rights", lambda route: route.fulfill(json={"max_bytes": 1, **answer}))
        page.goto(url)
        return page

    return open_


def payload(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def entries(page: WatchedPage) -> Locator:
    return page.page.locator("#entries .entry-name")


def hash_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def details(page: Page, name: str) -> Locator:
    page.locator("#entries").get_by_role("link", name=name, exact=True).click()
    panel = page.get_by_test_id("details")
    expect(panel.get_by_role("heading", name=name)).to_be_visible()
    return panel


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x20\x80\xff" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_files_are_uploaded_also_in_parts(folder: Folder, open_files: Open) -> None:
    folder.put("there", b"")
    page = open_files(folder.url)
    large = bytes(range(256)) * 9 + b"the end"
    page.by_id("file-input").set_input_files([payload("a.txt", b"hello"), payload("large.bin", large)])
    expect(page.by_id("uploads")).to_contain_text("2 of 2 uploaded")
    expect(entries(page)).to_have_text(["a.txt", "large.bin", "there"])
    assert folder.files() == {"a.txt": hash_of(b"hello"), "large.bin": hash_of(large), "there": hash_of(b"")}


def test_files_that_are_dropped_are_uploaded(folder: Folder, open_files: Open) -> None:
    folder.put("there", b"")
    page = open_files(folder.url)
    expect(entries(page)).to_have_text(["there"])
    page.page.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      for (const name of ['one', 'two']) dataTransfer.items.add(new File([name], name));
      const options = { dataTransfer, bubbles: true, cancelable: true };
      for (const type of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, options));
    }""")
    expect(entries(page)).to_have_text(["one", "there", "two"])
    assert folder.files()["two"] == hash_of(b"two")


def test_an_upload_that_breaks_goes_on_where_it_was(folder: Folder, open_files: Open) -> None:
    folder.put("there", b"")
    page = open_files(folder.url)
    offsets: list[int] = []

    def break_the_second(route: Route) -> None:
        if route.request.method == "PATCH":
            offsets.append(int(route.request.headers["upload-offset"]))
        if len(offsets) == 2 and route.request.method == "PATCH":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.page.route(re.compile("/api/tus/."), break_the_second)
    content = b"x" * (PART_BYTES + 100)
    page.by_id("file-input").set_input_files([payload("large.bin", content)])
    expect(page.by_id("uploads")).to_contain_text("1 of 1 uploaded")
    assert offsets == [0, PART_BYTES, PART_BYTES]
    page.forgive("net::ERR_CONNECTION_RESET")
    assert folder.files()["large.bin"] == hash_of(content)


def test_of_a_name_that_is_taken_the_user_decides(folder: Folder, open_files: Open) -> None:
    for name in ("keep.txt", "replace.txt", "skip.txt"):
        folder.put(name, b"old")
    page = open_files(folder.url)
    for name, choice in (("keep.txt", "Keep both"), ("replace.txt", "Replace"), ("skip.txt", "Skip")):
        page.by_id("file-input").set_input_files([payload(name, b"new")])
        dialog = page.page.get_by_role("dialog", name=f"There is a {name} already")
        dialog.get_by_role("button", name=choice).click()
        expect(dialog).to_have_count(0)
    expect(entries(page)).to_have_text(["keep (2).txt", "keep.txt", "replace.txt", "skip.txt"])
    page.wait_for(lambda: folder.files()["replace.txt"] == hash_of(b"new"))
    files = folder.files()
    assert files["keep.txt"] == files["skip.txt"] == hash_of(b"old") and files["keep (2).txt"] == hash_of(b"new")
    page.forgive("412")  # how it learns that a name is taken


def test_what_others_do_is_shown_as_it_happens(folder: Folder, open_files: Open) -> None:
    folder.put("a", b"1")
    page = open_files(folder.url)
    folder.put("below/b", b"2")
    expect(entries(page)).to_have_text(["below", "a"])
    folder.put("a", b"longer than before")
    expect(page.page.locator("tr[data-name=a] .size")).to_have_text("18\u202fB")
    folder.delete("a")
    expect(entries(page)).to_have_text(["below"])
    folder.delete("below/b")
    expect(entries(page)).to_have_text([])
    page.forgive("404")  # it asks whether the directory is still there


def test_a_file_is_renamed_deleted_and_restored(folder: Folder, open_files: Open) -> None:
    folder.put("old.txt", b"content")
    page = open_files(folder.url)
    details(page.page, "old.txt").get_by_role("button", name="Rename").click()
    page.page.get_by_label("Path in the folder").fill(f"{folder.name}/new.txt")
    page.page.get_by_role("button", name="Move", exact=True).click()
    expect(page.by_id("details").get_by_role("heading", name="new.txt")).to_be_visible()
    page.by_id("details").get_by_role("button", name="Delete").click()
    dialog = page.page.get_by_role("dialog", name="Delete new.txt?")
    expect(dialog).to_contain_text("goes to the trash")
    dialog.get_by_role("button", name="Delete").click()
    expect(entries(page)).to_have_text([])
    page.page.get_by_role("link", name="Trash").click()
    page.page.get_by_role("button", name=f"Restore {folder.name}/new.txt").click()
    expect(page.page.get_by_role("button", name=f"Restore {folder.name}/new.txt")).to_have_count(0)
    assert folder.files() == {"new.txt": hash_of(b"content")}


def test_an_earlier_version_is_restored_from_the_history(folder: Folder, open_files: Open) -> None:
    folder.put("a.txt", b"first")
    folder.put("a.txt", b"second")
    page = open_files(folder.url)
    panel = details(page.page, "a.txt")
    expect(panel.get_by_test_id("history").locator("li")).to_have_count(2)
    panel.get_by_role("button", name="Restore the version").click()
    page.page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    expect(panel.get_by_test_id("history").locator("li")).to_have_count(3)
    assert folder.files() == {"a.txt": hash_of(b"first")}
    page.forgive("409")  # how it learns that there is something


def test_folders_are_made_and_entered(folder: Folder, open_files: Open) -> None:
    folder.put("a", b"")
    page = open_files(folder.url)
    page.page.get_by_role("button", name="New folder").click()
    page.page.get_by_label("Name", exact=True).fill("with/slash")
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("dialog")).to_contain_text("A name has no /.")
    page.page.get_by_label("Name", exact=True).fill("sub & more")
    page.page.keyboard.press("Enter")
    page.page.get_by_role("link", name="sub & more", exact=True).press("Enter")
    expect(page.page.locator("#crumbs")).to_have_text(re.compile(f"Files{folder.name}sub & more"))
    expect(page.page.get_by_text("There is nothing in this folder.")).to_be_visible()
    page.page.go_back()
    page.page.get_by_role("link", name="Details of sub & more").press("Enter")
    expect(page.by_id("details").get_by_role("heading", name="sub & more")).to_be_focused()
    page.page.keyboard.press("Escape")
    expect(page.page.get_by_role("link", name="sub & more", exact=True)).to_be_focused()
    expect(entries(page)).to_have_text(["sub & more", "a"])


def test_only_what_is_an_image_by_its_bytes_is_shown(folder: Folder, open_files: Open) -> None:
    folder.put("image.png", png(30, 20))
    folder.put("script.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked = 1'/>")
    page = open_files(folder.url)
    expect(details(page.page, "image.png").get_by_role("img", name="image.png, 30 by 20 pixels")).to_be_visible()
    panel = details(page.page, "script.png")
    page.page.wait_for_load_state("networkidle")
    expect(panel.locator("canvas")).to_be_hidden()
    assert page.page.evaluate("window.hacked") is None


@pytest.mark.skipif(not apps.is_installed("streaming.ingestion"), reason="files become no layers here")
def test_a_file_that_became_a_layer_is_on_the_map(folder: Folder, open_files: Open) -> None:
    folder.put("there", b"")
    page = open_files(folder.url)
    line = {"type": "LineString", "coordinates": [[7, 46], [8, 47]]}
    folder.put("roads.geojson", json.dumps({"type": "Feature", "id": 1, "properties": {}, "geometry": line}).encode())
    expect(page.page.locator("tr[data-name='roads.geojson'] .chip")).to_have_text("layer")
    page.page.locator("path.file-outline").dispatch_event("click")
    expect(page.by_id("details").get_by_role("heading", name="roads.geojson")).to_be_visible()
    expect(page.by_id("ingest")).to_contain_text("1 feature.")
    page.wait(INK)
    folder.delete("roads.geojson")
    page.wait_for(lambda: folder.server.request("GET", "/api/layers/")[1] == [])


@pytest.mark.long_form(only=True)
def test_nobody_is_asked_to_log_in(shared_server: ServerProcess, open_page: Callable[..., WatchedPage]) -> None:
    page = open_page(f"{shared_server.url}/files/").page
    expect(page.get_by_role("heading", name="Log in to see the files")).to_be_visible()
    expect(page.locator("#workspace")).to_be_hidden()
    assert page.get_by_test_id("no-rights").get_by_role("link").get_attribute("href") == "/geostream/login/?next=/files/"


@pytest.mark.long_form(only=True)
def test_there_is_no_button_for_what_one_may_not_do(folder: Folder, open_with_rights: Callable[..., Page]) -> None:
    folder.put("a.txt", b"")
    page = open_with_rights(folder.url, rights={"": "list read"})
    panel = details(page, "a.txt")
    expect(panel.get_by_role("link", name="Download")).to_be_visible()
    for name in ("Upload", "Upload folder", "New folder", "Delete", "Rename"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Trash")).to_have_count(0)


@pytest.mark.long_form(only=True)
def test_who_may_only_look_is_told_to_log_in_to_upload(folder: Folder, open_files: Open, open_with_rights: Callable[..., Page]) -> None:
    folder.put("a.txt", b"")
    expect(open_files(folder.url).page.get_by_role("link", name="Log in to upload")).to_have_count(0)
    page = open_with_rights(folder.url, user=None, rights={"": "list read"})
    expect(page.get_by_role("link", name="Log in to upload")).to_be_visible()


def test_a_chosen_file_is_not_covered_by_uploads_that_are_done(folder: Folder, open_files: Open) -> None:
    folder.put("there", b"")
    page = open_files(folder.url)
    page.by_id("file-input").set_input_files(payload("new.txt", b"new"))
    expect(page.by_id("uploads")).to_contain_text("1 of 1 uploaded")
    details(page.page, "new.txt")
    expect(page.by_id("uploads")).to_be_hidden()


@pytest.mark.long_form(only=True)
def test_a_phone_under_a_strict_content_security_policy(
    folder: Folder, new_context: Callable[..., BrowserContext], logged_in: StorageState, screenshot: Callable[..., None]
) -> None:
    folder.put("a-rather-long-name-without-any-blanks-for-a-file-on-a-phone.geojson", b"{}")
    folder.put("image.png", png(300, 200))

    def protect(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})

    page = WatchedPage(new_context(**{**PHONE, "storage_state": logged_in}).new_page())
    page.page.route(lambda url: url.split("#")[0] == f"{folder.server.url}/files/", protect)
    page.page.goto(folder.url)
    expect(details(page.page, "image.png").get_by_role("img", name="image.png")).to_be_visible()
    page.by_id("file-input").set_input_files([payload("new.txt", b"1")])
    expect(page.by_id("uploads")).to_contain_text("1 of 1 uploaded")
    screenshot(page, "files-phone")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    page.check()  # a violation is an error on the console
