"""The Python client as a distribution of its own, in an environment without Django, GDAL, shapely and numpy."""

from __future__ import annotations

import ast
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import streaming.client
from streaming.client.hatch_build import PACKAGE, SHARED
from streaming.server.embedded_redis import RedisService
from tests.geo_peer import point
from tests.processes import run
from tests.server_process import ServerProcess

from .environment import ROOT, Environment, build_wheel, distribution_of, make_environment, needed

pytestmark = pytest.mark.long_form(only=True)

STREAMING = Path(streaming.__path__[0])
PLAIN = {"msgpack", "msgspec", "websockets", "zstandard"}
RECEIVE = """
import asyncio, sys
from geostream_client import GeoStreamClient

async def main():
    async with GeoStreamClient(sys.argv[1], format=sys.argv[2], compression=sys.argv[3]) as client:
        trams = await client.subscribe_features("trams", bbox=(5.9, 45.8, 10.5, 47.8), filter="line = 4")
        change = await anext(trams)
        print(change.type, change.id, change.feature["properties"])
        print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("django", "numpy", "shapely", "osgeo", "streaming")))

asyncio.run(main())
"""
TILES = """
import asyncio, sys
from geostream_client import GeoStreamClient, PixelsUnavailable, RequestRefused

async def main():
    async with GeoStreamClient(sys.argv[1]) as client:
        tiles = await client.subscribe_tiles((-180, -85, 180, 85), 0, tileset="squares")
        await tiles.ready()
        tile = tiles.tiles[0, 0, 0]
        print(tile.mime_type, len(tile.data))
        try:
            print(tile.array.shape)
        except PixelsUnavailable as error:
            print(error)
        try:
            await client.subscribe_tiles((-180, -85, 180, 85), 0, tileset="squares", delta=["xor+zstd"])
        except RequestRefused as error:
            print(error.message)

asyncio.run(main())
"""


def png() -> bytes:
    file = BytesIO()
    Image.new("RGBA", (256, 256), "orange").save(file, "PNG")
    return file.getvalue()


PNG = png()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, module_redis: RedisService) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "geostream.sqlite3").write_bytes(migrated_database.read_bytes())
    with ServerProcess(folder, module_redis.url, {}) as serving:
        serving.publish("trams", point(7, 8.5, 47.4, line=4), point(8, 8.6, 47.4, line=11))
        assert serving.post("/api/tilesets/", {"name": "squares", "kind": "pushed", "format": "png", "max_zoom": 0})[0] == 201
        assert serving.request("PUT", "/api/tilesets/squares/tiles/0/0/0", PNG, content_type="image/png")[0] == 201
        yield serving


@pytest.mark.parametrize(("format", "compression"), [("Json", "None"), ("Binary", "Zstd")])
def test_it_receives_a_feature(elsewhere: Environment, server: ServerProcess, format: str, compression: str) -> None:
    printed = run(elsewhere.python, "-c", RECEIVE, server.ws_url, format, compression, env=elsewhere.variables()).stdout
    assert printed == "added 7 {'line': 4}\n\n"


def test_tiles_are_files_without_the_extra(elsewhere: Environment, server: ServerProcess) -> None:
    printed = run(elsewhere.python, "-c", TILES, server.ws_url, env=elsewhere.variables()).stdout.splitlines()
    assert printed == [
        f"image/png {len(PNG)}",
        "pixels need numpy and Pillow: pip install 'geostream-client[pixels]' (or 'django-geostream[tiles]')",
        "delta: this client cannot apply ['xor+zstd']; it can apply prefix+zstd; others need numpy and Pillow",
    ]


def test_tiles_are_pixels_with_the_extra(client_wheel: Path, server: ServerProcess, tmp_path: Path) -> None:
    with_pixels = make_environment(tmp_path / "venv", client_wheel, ["pixels"])
    printed = run(with_pixels.python, "-c", TILES, server.ws_url, env=with_pixels.variables()).stdout.splitlines()
    assert printed == [f"image/png {len(PNG)}", "(256, 256, 4)"]


def test_it_asks_for_four_libraries(client_wheel: Path) -> None:
    distribution = distribution_of(client_wheel)
    assert needed(distribution).keys() == PLAIN
    assert needed(distribution, ["pixels"]).keys() == PLAIN | {"numpy", "pillow"}


def test_its_ranges_are_those_of_the_server() -> None:
    asked = tomllib.loads((ROOT / "streaming" / "client" / "pyproject.toml").read_text())["project"]
    lines = [line.partition(" #")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    assert {*asked["dependencies"], *asked["optional-dependencies"]["pixels"]} <= set(lines)


def test_everything_of_its_name_can_be_imported(elsewhere: Environment) -> None:
    program = f"import {PACKAGE}; print(*sorted({PACKAGE}.__all__)); print([getattr({PACKAGE}, name) for name in {PACKAGE}.__all__] and 1)"
    assert run(elsewhere.python, "-c", program, env=elsewhere.variables()).stdout.splitlines() == [
        " ".join(sorted(streaming.client.__all__)),
        "1",
    ]


def modules() -> list[Path]:
    """The Python files that the distribution consists of."""
    client = [path for path in (STREAMING / "client").glob("*.py") if path.name != "hatch_build.py"]
    return sorted([*client, *(STREAMING / name for name in SHARED if name.endswith(".py"))])


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(STREAMING)))
def test_its_modules_import_each_other_by_relative_imports_only(path: Path) -> None:
    known = set(modules())
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "streaming" for alias in node.names), f"line {node.lineno}"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] != "streaming", f"line {node.lineno}"
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            targets = [folder / f"{alias.name}.py" for alias in node.names if (folder / f"{alias.name}.py").exists()]
            for target in targets or [folder.with_suffix(".py") if not folder.is_dir() else folder / "__init__.py"]:
                assert target in known, f"line {node.lineno}: {target.relative_to(STREAMING)} is not among SHARED of hatch_build.py"


def test_it_is_the_same_from_its_source_distribution(client_wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=STREAMING / "client")
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = build_wheel(source, tmp_path / "wheel")
    assert contents(again) == contents(client_wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}
