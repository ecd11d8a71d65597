"""Gathers the modules of the distribution `geostream-client`: all of the client, and those of the server that it imports.

They keep their places relative to each other, in a package of another name: `streaming.core.errors` is `geostream_client.core.errors`.
That works because they import each other by relative imports only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "geostream_client"
SHARED = (
    "py.typed",
    "core/__init__.py",
    "core/bbox.py",
    "core/errors.py",
    "core/json_decoding.py",
    "core/json_depth.py",
    "core/merge_patch.py",
    "dialects/__init__.py",
    "dialects/geo/__init__.py",
    "dialects/geo/codec.py",
    "dialects/geo/encoding.py",
    "dialects/geo/errors.py",
    "dialects/geo/handshake.py",
    "dialects/geo/message_decoder.py",
    "dialects/geo/message_encoder.py",
    "dialects/geo/messagepack.py",
    "dialects/geo/messages.py",
    "dialects/geo/oxiarc_zstd.py",
    "dialects/geo/zstd.py",
    "dialects/geo/zstd_frame.py",
    "tiles/__init__.py",
    "tiles/deltas.py",
    "tiles/grid.py",
    "tiles/images.py",
    "tiles/optional.py",
    "tiles/prefix_deltas.py",
)
"""Files of `streaming/` that the client needs."""


class GatherModules(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the modules to the wheel or source distribution that is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files, unless this is an unpacked source distribution, which has them all in its package."""
        client = Path(self.root)
        if (client / PACKAGE / "client").is_dir():
            return
        modules = {path: f"client/{path.name}" for path in client.glob("*.py") if path.name != Path(__file__).name}
        modules |= {client.parent / name: name for name in SHARED}
        build_data["force_include"] |= {str(path): f"{PACKAGE}/{place}" for path, place in modules.items()}
