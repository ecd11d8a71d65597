"""What somebody puts into a synchronised folder is on an open map, changes there as it is edited, and goes from it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Serve
from ..processes import Process
from ..server_process import ServerProcess
from ..tiles.conftest import plain, write_raster
from .map_page import WITHIN, MapPage

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


def points(**longitudes: float) -> bytes:
    """A GeoJSON file with these features."""
    features = [
        {"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [x, 47]}, "properties": {"name": id}}
        for id, x in longitudes.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def changes(messages: list[dict[str, Any]]) -> dict[str, str]:
    """What was changed, by id."""
    told = [(json.loads(each["geojson"])["features"], each["change_type"]) for each in messages if each["type"] == "feature_data"]
    return {feature["id"]: kind for features, kind in told for feature in features}


def wait_for_layer(server: ServerProcess, name: str, features: int) -> None:
    deadline = time.monotonic() + WITHIN
    while len(server.request("GET", f"/api/layers/{name}/features")[1].get("features", ())) != features:
        assert time.monotonic() < deadline, f"no layer {name}"
        time.sleep(0.1)


@pytest.mark.long_form(only=True)
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


def test_an_edited_file_changes_only_the_edited_features_of_the_open_map(
    server: ServerProcess, laptop: Path, open_map: Callable[..., MapPage]
) -> None:
    stations = laptop / "stations.geojson"
    stations.write_bytes(points(moved=7.0, stays=7.5, goes=8.0))
    wait_for_layer(server, "stations", features=3)
    live = open_map(server)
    live.wait_for_features({"moved", "stays", "goes"}, "stations")

    received = len(live.received)
    stations.write_bytes(points(moved=7.2, stays=7.5, comes=8.5))
    live.wait_for_features({"moved", "stays", "comes"}, "stations")
    live.wait("() => geostream.subscriptions.stations.get('moved').geometry.coordinates[0] === 7.2")
    assert changes(live.received[received:]) == {"moved": "updated", "comes": "added", "goes": "deleted"}
