"""A GeoTIFF that somebody puts into a synchronised folder is on an open map, and goes from it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..conftest import Serve
from ..processes import Process
from ..server_process import ServerProcess
from ..tiles.conftest import plain, write_raster
from .map_page import MapPage

IMAGES = "() => Object.values(geostream.map._layers).some(({tileset, _tiles}) => tileset === 'ortho' && Object.keys(_tiles).length)"


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    return serve(GEOSTREAM_FILES_ANONYMOUS="*=list read write delete", GEOSTREAM_SERVER_EVENTS="1")


@pytest.fixture
def laptop(server: ServerProcess, tmp_path: Path) -> Iterator[Path]:
    """A folder of a client that runs."""
    folder = tmp_path / "laptop"
    folder.mkdir()
    command = (sys.executable, "-m", "streaming.client.sync", "--server", server.url, "--local-path", str(folder), "--realtime")
    with (tmp_path / "log").open("w") as log, Process(*command, "--state-dir", str(tmp_path / "state"), stdout=log, stderr=log) as client:
        yield folder
        client.terminate()


def test_an_image_appears_on_the_open_map_and_goes(
    server: ServerProcess, laptop: Path, open_map: Callable[..., MapPage], tmp_path: Path
) -> None:
    live = open_map(server, "map=4/50/10")
    image = write_raster(tmp_path / "red.tif", plain(255, 0, 0))
    began = time.monotonic()
    (laptop / "ortho.tif").write_bytes(image.read_bytes())
    live.by_id("tiles-ortho-toggle").check()
    live.wait("() => geostream.imagery.subscriptions.ortho?.ready")
    live.wait(IMAGES)
    print(f"on the map after {time.monotonic() - began:.1f} s")
    (laptop / "ortho.tif").unlink()
    live.by_id("tiles-ortho-toggle").wait_for(state="detached")
