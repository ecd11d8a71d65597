"""The table of kinds: what a new kind needs to be served, and what happens to a tileset whose kind is not in the table."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import pytest
from django.test import Client

from streaming.core.errors import StreamError
from streaming.models import Layer, Tileset
from streaming.tiles.grid import WORLD
from streaming.tiles.source_files import source_paths
from streaming.tiles.source_kinds import SOURCE_KINDS, detect_kind, open_source, version_of
from streaming.tiles.sources.base import TileMetadata, TileSource
from streaming.tiles.sources.kind import SourceKind
from streaming.tiles.tilesets import TilesetSettings, tileset_settings


class EchoSource:
    """Tiles that say where they are."""

    metadata = TileMetadata(WORLD, 0, 20, "png")

    def render(self, z: int, x: int, y: int) -> bytes | None:
        return f"{z}/{x}/{y}".encode()

    def close(self) -> None:
        pass


class EchoKind(SourceKind):
    has_files = False

    def open(self, tileset: TilesetSettings) -> TileSource:
        return EchoSource()

    def version(self, tileset: TilesetSettings) -> Hashable:
        return 1


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCE_KINDS, "echo", EchoKind())


def unknown(name: str = "some") -> TilesetSettings:
    return TilesetSettings(name, name, "no such kind", ("a.tif",))


def test_a_kind_in_the_table_is_served(transactional_db: None, redis: None, data_dir: Path, echo: None) -> None:
    Tileset.objects.create(name="some", kind="echo", max_zoom=3)
    answer = Client().get("/tiles/some/3/1/2.png")
    assert (answer.status_code, answer.content) == (200, b"3/1/2")
    assert Client().get("/tiles/some/4/1/2.png").status_code == 404
    assert Client().get("/api/tilesets/some/").json()["kind"] == "echo"


@pytest.mark.parametrize("use", [open_source, version_of])
def test_a_tileset_of_an_unknown_kind_cannot_be_opened(use: object) -> None:
    with pytest.raises(StreamError, match="no kind of tilesets 'no such kind'") as caught:
        use(unknown())  # type: ignore[operator]
    assert caught.value.code == "invalid_source"


def test_a_tileset_of_an_unknown_kind_disturbs_no_other(transactional_db: None, redis: None, data_dir: Path, echo: None) -> None:
    for kind in ("no such kind", "echo"):
        Tileset.objects.create(name=kind.replace(" ", "-"), kind=kind)
    answers = {answer["name"]: answer for answer in Client().get("/api/tilesets/").json()}
    assert answers["no-such-kind"]["error"]["code"] == "invalid_source"
    assert "error" not in answers["echo"]
    assert source_paths(unknown()) == []


@pytest.mark.parametrize(
    ("sources", "kind"),
    [
        (["a.TIF"], "raster"),
        (["a.tiff", "b.tif"], "raster"),
        (["a.mbtiles"], "mbtiles"),
        (["a.pmtiles"], "pmtiles"),
        (["."], "directory"),
        (["vehicles"], "layer"),
    ],
)
def test_kinds_are_detected_from_sources(sources: list[str], kind: str) -> None:
    assert detect_kind(sources) == kind


def test_a_folder_is_a_directory_whatever_its_name_ends_in(tmp_path: Path) -> None:
    (tmp_path / "a.mbtiles").mkdir()
    assert detect_kind([str(tmp_path / "a.mbtiles")]) == "directory"


@pytest.mark.parametrize("sources", [["a/b"], ["a.png", "b.png"], ["some", "layers"]])
def test_what_looks_like_no_kind_is_refused_with_the_endings(sources: list[str]) -> None:
    with pytest.raises(StreamError, match=r"ends in none of \.tif, \.tiff, \.mbtiles, \.pmtiles"):
        detect_kind(sources)


def test_the_layers_permission_is_needed_as_well(transactional_db: None) -> None:
    Layer.objects.create(name="secret", public=False)
    tileset = Tileset(name="some", kind="layer", source=" secret ", public=False)
    assert tileset_settings(tileset).permissions == ("streaming.view_tileset", "streaming.view_layer")
