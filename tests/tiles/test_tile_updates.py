"""A client that holds a version and applies the update made for it holds the new one; no update is larger than the tile."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streaming.tiles import deltas, images, tile_updates
from streaming.tiles.grid import Tile
from streaming.tiles.tile_cache import ENTRY_BYTES, RenderedTile, rendered_tile
from streaming.tiles.tile_updates import TileHistory, TileUpdate, smallest_update, whole_tile

PIXELS = frozenset({"xor+zstd", "patch+webp"})
BYTES = frozenset({"prefix+zstd", "upstream"})
ALL = PIXELS | BYTES
HILLS = np.dstack([np.random.default_rng(k).integers(0, 256, (64, 64), np.uint8) for k in range(3)] + [np.full((64, 64), 255, np.uint8)])
MVT = "application/vnd.mapbox-vector-tile"


def repainted(pixels: Any, seed: int = 9) -> Any:
    """Another square of imagery."""
    new = pixels.copy()
    new[5:20, 7:22, :3] = np.random.default_rng(seed).integers(0, 256, (15, 15, 3), np.uint8)
    return new


def png(pixels: Any, form: str = "PNG", **options: Any) -> RenderedTile:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return rendered_tile(file.getvalue(), f"image/{form.lower()}")


def applied(old: RenderedTile, made: TileUpdate) -> Any:
    """What the client then holds: pixels or bytes."""
    if made.encoding is None:
        return made.data
    held: Any = images.decode_pixels(old.data) if made.encoding in PIXELS else old.data
    return deltas.apply(made.encoding, held, made.data)


@pytest.fixture(autouse=True)
def nothing_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_updates, "_decoded", tile_updates._DecodedPixels(tile_updates.DECODED_BYTES))


def test_a_whole_tile_is_its_bytes_and_their_hash() -> None:
    tile = png(HILLS)
    assert whole_tile(tile) == TileUpdate(tile.data, None, tile.etag, None, "image/png")


def test_an_empty_tile_has_no_bytes_and_no_version() -> None:
    assert whole_tile(None, "image/png") == TileUpdate(b"", None, "", None, "image/png")


@pytest.mark.parametrize("offered", [{"xor+zstd"}, {"patch+webp"}, PIXELS, ALL], ids=lambda names: "+".join(sorted(names)))
def test_pixels_of_a_png_come_back_exactly(offered: set[str]) -> None:
    old, new = png(HILLS), png(repainted(HILLS))
    made = smallest_update(old, new, frozenset(offered))
    assert made.encoding in offered & PIXELS
    assert (made.version, made.base_version, made.mime) == (new.etag, old.etag, "image/png")
    assert len(made.data) < len(new.data) / 5
    assert np.array_equal(applied(old, made), repainted(HILLS))


def test_transparent_black_is_kept_by_canvases_and_so_by_deltas() -> None:
    base = HILLS.copy()
    base[30:] = 0
    made = smallest_update(png(base), png(repainted(base)), PIXELS)
    assert made.encoding is not None
    assert np.array_equal(applied(png(base), made), repainted(base))


def test_what_a_canvas_would_round_is_sent_whole() -> None:
    faint = HILLS.copy()
    faint[40, 40, 3] = 128
    for old, new in ((faint, HILLS), (HILLS, faint)):
        assert smallest_update(png(old), png(new), ALL) == whole_tile(png(new))


def test_what_a_browser_would_show_in_other_colours_is_sent_whole() -> None:
    new = png(repainted(HILLS), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    assert smallest_update(png(HILLS), new, ALL) == whole_tile(new)


def test_a_client_that_keeps_bytes_gets_byte_deltas_of_a_png() -> None:
    old = png(HILLS, compress_level=0)
    new = png(repainted(HILLS), compress_level=0)
    made = smallest_update(old, new, BYTES)
    assert made.encoding in BYTES
    assert applied(old, made) == new.data


@pytest.mark.parametrize("mime", [MVT, "image/webp"])
def test_other_tiles_get_byte_deltas_also_if_pixel_deltas_are_offered(mime: str) -> None:
    base = np.random.default_rng(1).bytes(5000)
    old, new = rendered_tile(base, mime), rendered_tile(base[:100] + b"something new" + base[100:], mime)
    made = smallest_update(old, new, ALL)
    assert made.encoding == "prefix+zstd"
    assert (len(made.data) < 100, applied(old, made)) == (True, new.data)


@pytest.mark.parametrize("offered", [frozenset(), frozenset({"rot13"}), PIXELS], ids=["nothing", "unknown", "pixels"])
def test_without_a_delta_that_fits_the_tile_is_sent_whole(offered: frozenset[str]) -> None:
    old, new = rendered_tile(b"tile " * 100, MVT), rendered_tile(b"tile " * 101, MVT)
    assert smallest_update(old, new, offered) == whole_tile(new)


def test_a_tile_that_is_another_altogether_is_sent_whole() -> None:
    random = np.random.default_rng(5)
    old, new = (rendered_tile(random.bytes(2000), MVT) for _ in range(2))
    assert smallest_update(old, new, ALL) == whole_tile(new)
    other = png(255 - np.roll(HILLS, 1, 2) | np.uint8([0, 0, 0, 255]))
    assert len(smallest_update(png(HILLS), other, ALL).data) <= len(other.data)


@pytest.mark.parametrize(
    "new", [png(HILLS[:32]), png(HILLS[..., :3].copy(), "JPEG"), rendered_tile(b"\x89PNG\r\n\x1a\n damaged", "image/png")]
)
def test_another_size_another_format_and_a_damaged_tile_are_sent_whole(new: RenderedTile) -> None:
    assert smallest_update(png(HILLS), new, ALL) == whole_tile(new)


def test_equal_pixels_in_other_bytes_cost_next_to_nothing() -> None:
    old, new = png(HILLS, compress_level=1), png(HILLS, compress_level=9)
    made = smallest_update(old, new, PIXELS)
    assert len(made.data) < 60
    assert np.array_equal(applied(old, made), HILLS)


def test_a_series_of_updates_follows_the_tile() -> None:
    held, versions = HILLS, [png(HILLS)]
    for seed in range(20):
        versions.append(png(repainted(images.decode_pixels(versions[-1].data), seed)))
        made = smallest_update(versions[-2], versions[-1], PIXELS)
        held = deltas.apply(made.encoding or "", held, made.data)
        assert np.array_equal(held, images.decode_pixels(versions[-1].data))


def test_a_series_of_updates_decodes_each_version_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode: Callable[[bytes], Any] = images.decode_pixels
    versions = [png(repainted(HILLS, seed)) for seed in range(5)]
    monkeypatch.setattr(tile_updates.images, "decode_pixels", lambda data: decoded.append(data) or decode(data))
    for old, new in pairwise(versions):
        smallest_update(old, new, PIXELS)
    assert decoded == [version.data for version in versions]


def test_decoded_pixels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = tile_updates._DecodedPixels(3 * HILLS.nbytes)
    for seed in range(5):
        decoded.pixels(png(repainted(HILLS, seed)))
    assert (len(decoded._kept), decoded._kept.cost) == (2, 2 * (HILLS.nbytes + ENTRY_BYTES))


def test_updates_can_be_made_in_several_threads() -> None:
    versions = [png(repainted(HILLS, seed)) for seed in range(8)]
    pairs = [(old, new) for old in versions for new in versions if old is not new]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda pair: smallest_update(*pair, PIXELS), pairs))
    assert all(np.array_equal(applied(old, each), images.decode_pixels(new.data)) for (old, new), each in zip(pairs, made, strict=True))


class TestTileHistory:
    TILE = Tile(3, 1, 2)

    def test_a_version_is_found_by_tileset_tile_and_etag(self) -> None:
        history, tile = TileHistory(10_000), rendered_tile(b"tile", MVT)
        history.add("relief", self.TILE, tile)
        assert history.find("relief", self.TILE, tile.etag) is tile
        assert history.find("other", self.TILE, tile.etag) is None
        assert history.find("relief", Tile(3, 2, 1), tile.etag) is None
        assert history.find("relief", self.TILE, "another") is None

    def test_what_was_used_longest_ago_makes_room(self) -> None:
        history = TileHistory(3 * (1000 + ENTRY_BYTES))
        tiles = [rendered_tile(bytes([number]) * 1000, MVT) for number in range(4)]
        for tile in tiles[:3]:
            history.add("relief", self.TILE, tile)
        history.find("relief", self.TILE, tiles[0].etag)
        history.add("relief", self.TILE, tiles[3])
        assert [history.find("relief", self.TILE, tile.etag) is not None for tile in tiles] == [True, False, True, True]
        assert history.kept_bytes == 3 * (1000 + ENTRY_BYTES)

    def test_a_version_kept_twice_is_there_once(self) -> None:
        history, tile = TileHistory(10_000), rendered_tile(b"tile", MVT)
        for _ in range(3):
            history.add("relief", self.TILE, tile)
        assert (len(history), history.kept_bytes) == (1, 4 + ENTRY_BYTES)

    def test_what_has_no_room_at_all_displaces_nothing(self) -> None:
        history = TileHistory(2000)
        small, large = rendered_tile(b"tile", MVT), rendered_tile(bytes(5000), MVT)
        history.add("relief", self.TILE, small)
        history.add("relief", self.TILE, large)
        assert history.find("relief", self.TILE, small.etag) is small
        assert history.find("relief", self.TILE, large.etag) is None

    def test_several_threads_may_keep_and_find(self) -> None:
        history = TileHistory(50 * (100 + ENTRY_BYTES))
        tiles = [rendered_tile(bytes([number]) * 100, MVT) for number in range(200)]

        def use(tile: RenderedTile) -> None:
            history.add("relief", self.TILE, tile)
            history.find("relief", self.TILE, tiles[0].etag)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, tiles * 5))
        assert len(history) == 50
        assert history.kept_bytes == 50 * (100 + ENTRY_BYTES)
