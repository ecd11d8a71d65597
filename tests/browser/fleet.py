"""Aircraft over Switzerland: features whose places and properties are known."""

from __future__ import annotations

from typing import Any

Feature = dict[str, Any]


def aircraft(id: str, lon: float, lat: float, **properties: Any) -> Feature:
    flying = {"callsign": id.upper(), "altitude_ft": 20_000, "track_deg": 90.0, **properties}
    return {"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": flying}


def fleet(step: int = 0) -> list[Feature]:
    """Twenty aircraft in four rows of five, a degree apart from 6°E, half a degree from 46°N; all fly east, the higher the further."""
    return [
        aircraft(f"f{row}{column}", 6 + column + step * 0.02, round(46 + row * 0.5, 1), altitude_ft=10_000 * (row + 1))
        for row in range(4)
        for column in range(5)
    ]
