"""`manage.py add_tiles`: adds a tileset of files, of a feature layer, or of tiles that will be pushed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from streaming.core.errors import StreamError
from streaming.engine.conf import data_dir
from streaming.management.prerequisites import check_migrations, prepare_redis
from streaming.management.staged_files import StagedCopies
from streaming.models import Tileset
from streaming.tiles.grid import box_text
from streaming.tiles.paths import file_bytes, resolve_source
from streaming.tiles.source_kinds import KIND_NAMES, detect_kind, open_source, source_kind
from streaming.tiles.tileset_events import reading, work_on
from streaming.tiles.tilesets import check_tileset, tileset_settings

SETTINGS = ("title", "min_zoom", "max_zoom", "format", "rescale", "colormap", "tile_size", "attribution")


class Command(BaseCommand):
    help = (
        "Add a tileset, or change the one of this name: GeoTIFFs, an MBTiles or PMTiles file, a directory of tiles, a feature layer, or "
        "nothing yet (--kind pushed)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="how clients ask for it")
        parser.add_argument(
            "sources",
            nargs="*",
            metavar="SOURCE",
            help="a path (for a mosaic several, later ones on top) or a layer; for pushed tiles none",
        )
        parser.add_argument("--kind", choices=KIND_NAMES, help="what the source is, if that cannot be seen from it")
        parser.add_argument("--title", help="what people see")
        parser.add_argument("--min-zoom", type=int, metavar="Z", help="lowest zoom, instead of the source's")
        parser.add_argument("--max-zoom", type=int, metavar="Z", help="highest zoom, instead of the source's")
        parser.add_argument("--format", choices=("png", "webp", "jpg", "avif", "mvt"), help="of the tiles of a raster, or of pushed ones")
        parser.add_argument("--rescale", metavar="LOW,HIGH", help="what becomes black and white; one pair, or one for each band")
        parser.add_argument("--colormap", metavar="NAME", help="colours for a raster of one band, e.g. viridis")
        parser.add_argument("--tile-size", type=int, choices=(256, 512), help="pixels along each side of a tile")
        parser.add_argument("--attribution", help="whose data it is, as maps show it")
        parser.add_argument("--private", action="store_true", help="only for users with the permission to view tilesets")
        parser.add_argument("--copy", action="store_true", help="copy files that are elsewhere into the data folder")

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations()
        try:
            tileset = _tileset(options)
            tileset.clean_fields()
            if not source_kind(tileset.kind).has_files:
                prepare_redis()
                tileset.full_clean()
                check_tileset(tileset)
                tileset.save()
            else:
                for warning in _save_with_files(tileset, options):
                    self.stderr.write(f"{tileset.name}: {warning}")
            self._report(tileset)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except StreamError as error:
            raise CommandError(error.message) from error

    def _report(self, tileset: Tileset) -> None:
        settings = tileset_settings(tileset)
        source = open_source(settings)
        has = settings.override(source.metadata)
        source.close()
        self.stdout.write(
            f"{tileset.name}: {tileset.kind}, {has.format} tiles of the zooms {has.min_zoom} to {has.max_zoom}, "
            f"{box_text(has.bounds)}\n"
            f"Maps find them at /tiles/{tileset.name}/{{z}}/{{x}}/{{y}}.{has.format}"
        )


def _tileset(options: dict[str, Any]) -> Tileset:
    """The tileset with the given options, not saved yet. Other settings of an existing one stay."""
    kind = options["kind"] or detect_kind(options["sources"])
    tileset = Tileset.objects.filter(name=options["name"]).first() or Tileset(name=options["name"])
    for name in SETTINGS:
        if options[name] is not None:
            setattr(tileset, name, options[name])
    tileset.public = tileset.public and not options["private"]
    tileset.kind = kind
    tileset.source = "\n".join(options["sources"])
    return tileset


def _save_with_files(tileset: Tileset, options: dict[str, Any]) -> list[str]:
    """Save a tileset of files; returns warnings. Copies get to their destinations only after they were drawn."""
    with StagedCopies(data_dir().resolve() / "tiles" / tileset.name, source_kind(tileset.kind)) as copies:
        paths = _source_paths(tileset, copies, options)
        tileset.source = "\n".join(map(str, paths))
        tileset.full_clean()
        with reading(tileset_settings(tileset)):
            warnings = check_tileset(tileset)
        tileset.source = "\n".join(str(copies.destinations.get(path, path)) for path in paths)
        with transaction.atomic():
            tileset.save()
            copies.commit()
    return warnings


def _source_paths(tileset: Tileset, copies: StagedCopies, options: dict[str, Any]) -> list[Path]:
    """The paths of all sources, or of their copies, whose progress is reported."""
    texts: list[str] = options["sources"]
    if not options["copy"]:
        return [_source_path(text, None) for text in texts]
    total = sum(file_bytes(Path(text)) for text in texts)
    with work_on(tileset_settings(tileset), "copy", total).watched(lambda: copies.bytes):
        return [_source_path(text, copies) for text in texts]


def _source_path(text: str, copies: StagedCopies | None) -> Path:
    """The absolute path of a source, or that of its copy. `CommandError` for other folders than those of sources."""
    path = Path(text).absolute()
    try:
        allowed = resolve_source(str(path))
    except StreamError as error:
        if not os.path.exists(path):
            raise CommandError(f"{path.name}: there is no such file or folder") from error
        if copies is None:
            raise CommandError(f"{error.message}, or copy it with --copy") from error
        return copies.add(path)
    return path if copies is None else allowed
