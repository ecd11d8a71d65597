"""What kind of file something is, by its first bytes and never by its name."""

from __future__ import annotations

SNIFFED_BYTES = 72
"""So many bytes are looked at."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "bigtiff"),
    (b"MM\0+", "bigtiff"),
    (b"fgb\x03fgb", "flatgeobuf"),
    (b"PAR1", "parquet"),
    (b"PMTiles", "pmtiles"),
    (b"\0\0\x27\x0a", "shapefile"),
    (b"GRIB", "grib"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"LASF", "las"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
)
_SQLITE = b"SQLite format 3\0"
_APPLICATIONS = {b"GPKG": "geopackage", b"GP10": "geopackage", b"GP11": "geopackage", b"MPBX": "mbtiles"}
"""The application id in the header of SQLite."""


def sniff(head: bytes) -> str:
    """The kind of a file that begins so; `unknown` for all others."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(_SQLITE):
        return _APPLICATIONS.get(head[68:72], "sqlite")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e")
    return "json" if text[:1] in (b"{", b"[") else "unknown"
