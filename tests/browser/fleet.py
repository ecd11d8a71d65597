"""Aircraft over Switzerland: features whose places and properties are known."""

from __future__ import annotations

from typing import Any

from ..server_process import ServerProcess

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


def renew(server: ServerProcess) -> None:
    """Have the layer `flights` of a server hold the fleet again and nothing else, if anything of that has changed."""
    status, answer = server.request("GET", "/api/layers/flights/features?limit=1000")
    there = {each["id"]: (each["geometry"], each["properties"]) for each in answer["features"]} if status == 200 else {}
    wanted = {each["id"]: (each["geometry"], each["properties"]) for each in fleet()}
    for id in there.keys() - wanted.keys():
        server.request("DELETE", f"/api/layers/flights/features/{id}")
    if changed := [each for each in fleet() if there.get(each["id"]) != wanted[each["id"]]]:
        server.publish("flights", *changed)
