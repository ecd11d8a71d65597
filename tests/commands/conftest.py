"""Features to write to files, and what a layer holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming.core.feed import Feed

Feature = dict[str, Any]


def feature(id: str | int | None, lon: float = 7.0, lat: float = 47.0, **properties: Any) -> Feature:
    identity = {} if id is None else {"id": id}
    return {"type": "Feature", **identity, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": properties}


def collection(*features: Feature, **members: Any) -> Feature:
    return {"type": "FeatureCollection", **members, "features": list(features)}


def held(layer: str) -> dict[str | int, Feature]:
    """The features of a layer by id."""
    return {json.loads(key): json.loads(stored[13:]) for key, stored in Feed(f"layer:{layer}").read_sync().stored.items()}


@pytest.fixture
def lines_file(tmp_path: Path) -> Callable[..., str]:
    """Writes features as lines; returns the path."""

    def write(*features: Feature, name: str = "features.geojsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(one) + "\n" for one in features))
        return str(path)

    return write
