"""Pushed tiles: what is taken, what is refused, and what is announced."""

from __future__ import annotations

import gzip
import struct
import zlib
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.models import Tileset
from streaming.tiles.change_feed import ChangedArea, changed_tiles, parse_change, tiles_feed
from streaming.tiles.grid import Tile
from streaming.tiles.mvt_check import check_mvt
from streaming.tiles.pushed_tiles import push_sync, remove_sync
from streaming.tiles.source_kinds import open_source, version_of
from streaming.tiles.sources.pushed import pushed_keys
from streaming.tiles.tile_renderer import tile_renderer
from streaming.tiles.tilesets import TilesetSettings, tileset_settings

PLACE = Tile(3, 4, 2)
ROADS = {"name": "roads", "features": [{"geometry": "LINESTRING (0 0, 100 100)", "properties": {"lanes": 2, "name": "A1"}}]}


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None, data_dir: Path) -> None:
    pass


def picture(*colour: int, size: int = 256, format: str = "PNG") -> bytes:
    file = BytesIO()
    Image.new("RGB", (size, size), colour).save(file, format, speed=10)  # type: ignore[arg-type]  # of AVIF: the quickest
    return file.getvalue()


def noisy() -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (256, 256, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def png(*chunks: tuple[bytes, bytes], pixels: bytes | None = None, interlaced: int = 0) -> bytes:
    """256 x 256 grey pixels, with other chunks before them."""
    head = struct.pack(">IIBBBBB", 256, 256, 8, 0, 0, 0, interlaced)
    rows = zlib.compress(bytes(256 * 257) if pixels is None else pixels)
    every = ((b"IHDR", head), *chunks, (b"IDAT", rows[:50]), (b"IDAT", rows[50:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in every
    )


def drawn(times: int) -> bytes:
    """A JPEG whose scan is there so many times."""
    data = picture(1, format="JPEG")
    at = data.index(b"\xff\xda")
    return data[:at] + data[at:-2] * times + data[-2:]


def moving(format: str) -> bytes:
    file = BytesIO()
    frames = [Image.new("RGB", (256, 256), colour) for colour in ("red", "blue")]
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    return file.getvalue()


def vector(*layers: dict[str, Any]) -> bytes:
    data: bytes = mapbox_vector_tile.encode(list(layers or (ROADS,)))
    return data


def varint(number: int) -> bytes:
    return (bytes([number & 127 | 128]) + varint(number >> 7)) if number > 127 else bytes([number])


def shape(commands: list[int]) -> bytes:
    """A vector tile of one feature with this geometry."""
    geometry = b"".join(map(varint, commands))
    feature = b"\x18\x03\x22" + varint(len(geometry)) + geometry
    layer = b"\x0a\x01a\x78\x02\x12" + varint(len(feature)) + feature
    return b"\x1a" + varint(len(layer)) + layer


def pushed(**options: Any) -> TilesetSettings:
    return tileset_settings(Tileset.objects.create(name="radar", kind="pushed", **options))


def announced() -> list[ChangedArea]:
    """The lines of the tileset's feed."""
    return [parse_change(fields[b"n"][13:]) for _, fields in sync_redis().xrange(tiles_feed("radar").log_key)]


def nothing_happened() -> bool:
    return not announced() and not sync_redis().exists(*pushed_keys("radar"))


def refused(tileset: TilesetSettings, data: bytes, tile: Tile = PLACE) -> StreamError:
    with pytest.raises(StreamError) as caught:
        push_sync(tileset, tile, data)
    assert nothing_happened()
    return caught.value


async def test_a_tile_is_shown_as_it_was_pushed() -> None:
    data = picture(200, 0, 0)
    tileset = tileset_settings(await Tileset.objects.acreate(name="radar", kind="pushed"))
    version = push_sync(tileset, PLACE, data).version
    shown = await tile_renderer().tile(tileset, PLACE)
    assert shown is not None
    assert (shown.data, shown.mime, shown.etag) == (data, "image/png", version)
    assert await tile_renderer().tile(tileset, Tile(3, 0, 0)) is None


def test_only_changes_are_announced() -> None:
    tileset = pushed()
    outcomes = [push_sync(tileset, PLACE, data).outcome for data in (picture(1), picture(1), picture(2))]
    assert outcomes == ["added", "unchanged", "updated"]
    assert announced() == [changed_tiles([PLACE])] * 2


def test_a_removed_tile_is_announced_too() -> None:
    tileset = pushed()
    push_sync(tileset, PLACE, picture(1))
    remove_sync(tileset, PLACE)
    assert open_source(tileset).render(*PLACE) is None
    assert announced() == [changed_tiles([PLACE])] * 2


def test_what_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(StreamError) as caught:
        remove_sync(pushed(), PLACE)
    assert caught.value.code == "unknown_tile"
    assert nothing_happened()


def test_a_change_is_another_version_of_the_source() -> None:
    tileset = pushed()
    versions = [version_of(tileset)]
    for data in (picture(1), picture(2), picture(1)):
        push_sync(tileset, PLACE, data)
        versions.append(version_of(tileset))
    push_sync(tileset, PLACE, picture(1))
    assert len(set(versions)) == 4
    assert version_of(tileset) == versions[-1]


@pytest.mark.parametrize(("format", "name"), [("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG"), ("avif", "AVIF")])
@pytest.mark.parametrize(("tile_size", "size"), [(256, 256), (256, 512), (512, 512), (512, 1024)])
def test_every_format_in_every_size(format: str, name: str, tile_size: int, size: int) -> None:
    tileset = pushed(format=format, tile_size=tile_size)
    assert push_sync(tileset, PLACE, picture(1, size=size, format=name)).outcome == "added"


@pytest.mark.parametrize("packed", [False, True])
def test_vector_tiles_are_stored_unpacked(packed: bool) -> None:
    tileset, data = pushed(format="mvt"), vector()
    push_sync(tileset, PLACE, gzip.compress(data) if packed else data)
    assert open_source(tileset).render(*PLACE) == data


def test_the_zooms_are_those_of_the_settings() -> None:
    assert (open_source(pushed()).metadata.min_zoom, open_source(tileset_settings(Tileset.objects.get())).metadata.max_zoom) == (0, 22)
    Tileset.objects.update(min_zoom=24, max_zoom=30)
    tileset = tileset_settings(Tileset.objects.get())
    assert push_sync(tileset, Tile(30, (1 << 30) - 1, 0), picture(1)).outcome == "added"


@pytest.mark.parametrize("place", [Tile(40, 0, 0), Tile(3, 8, 0), Tile(3, 0, 8), Tile(1, 0, 0), Tile(9, 0, 0)])
def test_a_place_that_the_tileset_does_not_have(place: Tile) -> None:
    assert refused(pushed(min_zoom=2, max_zoom=8), picture(1), place).code == "unknown_tile"


def test_tiles_are_only_pushed_to_tilesets_of_pushed_tiles(data_dir: Path) -> None:
    tileset = tileset_settings(Tileset(name="radar", kind="raster", source="a.tif"))
    assert refused(tileset, picture(1)).code == "wrong_tileset_kind"


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = bytearray(picture(1))
    bomb[16:24] = b"\x00\x01\x00\x00" * 2  # 65,536 x 65,536
    error = refused(pushed(), bytes(bomb))
    assert (error.code, "65536 x 65536" in error.message) == ("invalid_tile", True)


@pytest.mark.parametrize("interlaced", [0, 1])
def test_pixels_that_unpack_to_more_than_their_size_are_refused(interlaced: int) -> None:
    bomb = png(pixels=bytes(100_000_000), interlaced=interlaced)
    assert len(bomb) < 100_000
    assert refused(pushed(), bomb).message.endswith("it unpacks to more than the pixels it says it has")


@pytest.mark.parametrize("interlaced", [False, True])
def test_the_last_byte_that_may_be_there_is_taken(interlaced: bool) -> None:
    passes = [(32, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256)] if interlaced else [(256, 256)]  # rows, columns
    whole = sum(rows * (1 + columns) for rows, columns in passes)
    assert refused(pushed(), png(pixels=bytes(whole + 1), interlaced=interlaced)).code == "invalid_tile"
    tileset = tileset_settings(Tileset.objects.get())
    assert push_sync(tileset, PLACE, png(pixels=bytes(whole), interlaced=interlaced)).outcome == "added"


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"])
def test_long_compressed_texts_and_profiles_are_refused(kind: bytes) -> None:
    part = b"name\0" + b"\0" * (kind == b"iTXt") + b"\0" * 9000
    assert "leave them out" in refused(pushed(), png((kind, part), (kind, part))).message


def test_a_short_text_may_be_there() -> None:
    text = (b"zTXt", b"Comment\0\0" + zlib.compress(b"made by hand"))
    assert push_sync(pushed(), PLACE, png(text)).outcome == "added"


def test_a_png_of_very_many_pieces_is_refused() -> None:
    assert "pieces" in refused(pushed(), png(*[(b"tEXt", b"a\0b")] * 10_001)).message


def test_a_jpeg_that_is_drawn_again_and_again_is_refused() -> None:
    assert "scans" in refused(pushed(format="jpg"), drawn(101)).message


def test_a_progressive_jpeg_is_taken() -> None:
    file = BytesIO()
    Image.open(BytesIO(noisy())).save(file, "JPEG", progressive=True)
    assert file.getvalue().count(b"\xff\xda") > 5
    assert push_sync(pushed(format="jpg"), PLACE, file.getvalue()).outcome == "added"


def avif(size: int = 256, mode: str = "RGB", **options: Any) -> bytes:
    file = BytesIO()
    Image.effect_noise((size, size), 50).convert(mode).save(file, "AVIF", speed=10, **options)
    return file.getvalue()


def uniform_avif(size: int) -> bytes:
    """The largest is a file of a kilobyte, for to encode it takes seconds."""
    stored = Path(__file__).with_name(f"uniform-{size}.avif")
    return stored.read_bytes() if stored.exists() else picture(1, size=size, format="AVIF")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"exif": Image.Exif().tobytes()}, {"quality": 100, "subsampling": "4:4:4"}])
def test_an_avif_is_taken(mode: str, options: dict[str, Any]) -> None:
    tileset = pushed(format="avif")
    data = avif(mode=mode, **options)
    assert push_sync(tileset, PLACE, data).outcome == "added"
    assert open_source(tileset).render(*PLACE) == data


@pytest.mark.parametrize("size", [1024, 8192])
def test_an_avif_that_unpacks_to_more_than_its_size_is_refused(size: int) -> None:
    declared = struct.pack(">II", 256, 256)
    bomb = uniform_avif(size).replace(struct.pack(">II", size, size), declared)
    error = refused(pushed(format="avif"), bomb)
    assert f"it unpacks to {size} x {size} pixels" in error.message


def test_an_avif_of_many_frames_is_refused() -> None:
    data = avif()
    at = data.index(b"mdat") + 4
    stream = data[at:]
    length = struct.pack(">I", len(stream))
    assert data.count(length) == 1
    many = data[: at - 8] + struct.pack(">I", 8 + 20 * len(stream)) + b"mdat" + stream * 20
    many = many.replace(length, struct.pack(">I", 20 * len(stream)), 1)
    assert "animation" in refused(pushed(format="avif"), many).message


@pytest.mark.parametrize("cut", [10, 40, 150, 300, 1000])
def test_a_damaged_avif_is_refused(cut: int) -> None:
    assert refused(pushed(format="avif"), avif()[:cut]).code == "invalid_tile"


@pytest.mark.parametrize("seed", range(10))
def test_an_avif_with_other_bytes_does_no_harm(seed: int) -> None:
    data, random = bytearray(avif()), np.random.default_rng(seed)
    for at in random.integers(0, 400, 4):
        data[at] = random.integers(0, 256)
    try:
        push_sync(pushed(format="avif"), PLACE, bytes(data))
    except StreamError as error:
        assert error.code in ("invalid_tile", "too_large")


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_an_animation_is_no_tile(format: str) -> None:
    assert "animation" in refused(pushed(format=format), moving(format)).message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        picture(1, format="WEBP"),
        picture(1, size=128),
        picture(1, size=1024),
        noisy()[:-2000],
        noisy()[:40],
        noisy().replace(b"IDAT", b"IDOT"),
    ],
    ids=["empty", "text", "other format", "small", "large", "cut off", "cut off early", "damaged"],
)
def test_what_is_no_whole_tile_is_refused(data: bytes) -> None:
    assert refused(pushed(), data).code == "invalid_tile"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tile",
        picture(1),
        vector()[:-3],
        gzip.compress(vector())[:-9],
        vector() + vector(),
        b"\x1a\x02\x78\x02",
        b"\x1a\x05\x0a\x01a\x78\x09",
        b"\x1a\x09\x0a\x01a\x12\x04\x12\x02\x00\x00",
    ],
    ids=["empty", "text", "picture", "cut off", "cut off gzip", "a layer twice", "no name", "unknown version", "no such key"],
)
def test_what_is_no_vector_tile_is_refused(data: bytes) -> None:
    assert refused(pushed(format="mvt"), data).code == "invalid_tile"


@pytest.mark.parametrize(
    "commands",
    [
        [9, 0, 0, 10, 2, 2, (1 << 28 | 7)],
        [9, 0, 0, (1 << 28 | 2), 2, 2],
        [9, 0, 0, 18, 2, 2],
        [(1 << 60 | 1), 0, 0],
        [9, 0, 0, 10, 2, 2, 7],
        [9, 0, 0, 11, 2, 2],
    ],
    ids=["ClosePath very often", "LineTo very often", "LineTo once too often", "MoveTo very often", "ClosePath never", "unknown"],
)
def test_geometries_that_count_what_is_not_there_are_refused(commands: list[int]) -> None:
    check_mvt(shape([9, 0, 0, 18, 2, 2, 200, 300, 15]))
    with pytest.raises(StreamError, match="geometry"):
        check_mvt(shape(commands))


@pytest.mark.parametrize("seed", range(20))
def test_damaged_vector_tiles_do_no_harm(seed: int) -> None:
    data = bytearray(vector())
    random = np.random.default_rng(seed)
    for at in random.integers(0, len(data), 3):
        data[at] = random.integers(0, 256)
    try:
        check_mvt(bytes(data))
    except StreamError as error:
        assert error.code == "invalid_tile"


def test_a_tile_is_too_large_packed_or_unpacked(settings: Any) -> None:
    settings.GEOSTREAM_MAX_TILE_BYTES = 3000
    many = {"name": "many", "features": [{"geometry": "POINT (1 1)", "properties": {}}] * 1000}
    packed = gzip.compress(vector(many))
    assert len(packed) < 3000
    assert refused(pushed(format="mvt"), packed).code == "too_large"
    assert refused(tileset_settings(Tileset.objects.get()), b"\0" * 3001).code == "too_large"


def test_a_tileset_takes_so_many_tiles(settings: Any) -> None:
    settings.GEOSTREAM_MAX_PUSHED_TILES = 2
    tileset = pushed()
    for x in (0, 1):
        push_sync(tileset, Tile(3, x, 0), picture(1))
    with pytest.raises(StreamError) as caught:
        push_sync(tileset, Tile(3, 2, 0), picture(1))
    assert caught.value.code == "tileset_full"
    assert push_sync(tileset, Tile(3, 1, 0), picture(2)).outcome == "updated"
    assert len(announced()) == 3


def test_tiles_of_a_format_that_is_not_the_tilesets_any_more_are_not_shown() -> None:
    push_sync(pushed(), PLACE, picture(1))
    Tileset.objects.update(format="webp")
    assert open_source(tileset_settings(Tileset.objects.get())).render(*PLACE) is None


def test_a_removed_tileset_takes_its_tiles_along() -> None:
    push_sync(pushed(), PLACE, picture(1))
    Tileset.objects.get().delete()
    assert not list(sync_redis().scan_iter("*tiles:radar*"))


def test_a_tile_that_outlived_its_tileset_is_not_in_a_new_one() -> None:
    push_sync(pushed(), PLACE, picture(1))
    late = sync_redis().hgetall(pushed_keys("radar")[0])
    Tileset.objects.get().delete()
    sync_redis().hset(pushed_keys("radar")[0], mapping=late)  # by a push that had begun before
    tileset = pushed()
    assert open_source(tileset).render(*PLACE) is None
    assert push_sync(tileset, PLACE, picture(1)).outcome == "added"


def test_the_command_makes_a_tileset_for_pushed_tiles() -> None:
    out = StringIO()
    call_command("add_tiles", "radar", kind="pushed", format="webp", max_zoom=8, stdout=out)
    assert out.getvalue().startswith("radar: pushed, webp tiles of the zooms 0 to 8")
    assert Tileset.objects.get().source == ""


@pytest.mark.parametrize(("arguments", "options"), [(["a.tif"], {"kind": "pushed"}), ([], {})])
def test_the_command_takes_no_source_for_pushed_tiles_and_one_for_others(arguments: list[str], options: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="source"):
        call_command("add_tiles", "radar", *arguments, **options)
    assert not Tileset.objects.exists()


def test_other_settings_are_announced() -> None:
    pushed()
    row = Tileset.objects.get()
    row.attribution = "us"
    row.save()
    assert announced() == [ChangedArea()]
