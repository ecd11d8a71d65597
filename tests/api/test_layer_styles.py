"""Styles of layers over REST: what is taken, what is refused with which code, who may change them, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonschema_rs
import pytest
from rest_framework.test import APIClient

from streaming.features.layer_styles import EXAMPLE, check_style
from streaming.models import Layer

STYLES: list[dict[str, Any]] = [
    {"version": 1},
    EXAMPLE,
    {"version": 1, "color": "#00ff88", "size": 12, "icon": "ship"},
    {"version": 1, "color": {"property": "mag", "type": "interpolate", "stops": [[0, "#ffffff"], [9, "#FF0000"]], "default": "#888888"}},
    {"version": 1, "color": {"property": "mag", "type": "step", "title": "Magnitude", "stops": [[0, "#ffffff"], [5, "#ff0000"]]}},
    {"version": 1, "color": {"property": "kind", "type": "match", "cases": [["bus", "#ff0000"], [7, "#00ff00"]], "default": "#888888"}},
    {"version": 1, "color": {"property": "speed", "type": "interpolate", "palette": "viridis"}},
    {"version": 1, "size": {"property": "mag", "type": "interpolate", "stops": [[0, 4], [9, 40]]}},
    {"version": 1, "icon": {"property": "kind", "type": "match", "cases": [["bus", "car"], [True, "star"]], "default": "circle"}},
]
COLOR = {"property": "mag", "type": "interpolate", "stops": [[0, "#ffffff"], [9, "#ff0000"]]}
REFUSED: list[tuple[Any, str]] = [
    ([], "style: "),
    ("red", "style: "),
    ({}, "style: "),
    ({"version": 2}, "style.version: "),
    ({"version": 1, "colour": "#ffffff"}, "style: "),
    ({"version": 1, "color": "red"}, "style.color: "),
    ({"version": 1, "color": "#ffffff;background:url(//evil)"}, "style.color: "),
    ({"version": 1, "color": "#ffffff\n"}, "style.color: "),
    ({"version": 1, "color": {**COLOR, "type": "exponential"}}, "style.color.type: "),
    ({"version": 1, "color": {**COLOR, "stops": [[0, "#ffffff"]]}}, "style.color.stops: "),
    ({"version": 1, "color": {**COLOR, "stops": [[0, "#ffffff"], [1, "url(x)"]]}}, "style.color.stops.1.1: "),
    ({"version": 1, "color": {**COLOR, "stops": [[5, "#ffffff"], [5, "#000000"]]}}, "style.color.stops: the values do not go upwards"),
    ({"version": 1, "color": {**COLOR, "palette": "viridis"}}, "style.color"),
    ({"version": 1, "color": {"property": "mag", "type": "interpolate", "palette": "viridis", "domain": [2, 1]}}, "style.color.domain: "),
    ({"version": 1, "color": {"property": "mag", "type": "interpolate"}}, "style.color: "),
    ({"version": 1, "color": {"property": "kind", "type": "match", "cases": [["a", "#ffffff"]]}}, "style.color: "),
    ({"version": 1, "icon": "skull"}, "style.icon: "),
    ({"version": 1, "size": 400}, "style.size: "),
    ({"version": 1, "size": {**COLOR, "stops": [[0, 4], [1e305, 8]]}}, "style.size.stops.1.0: "),
    ({"version": 1, "label": {"property": ""}}, "style.label.property: "),
    ({"version": 1, "rotate": "track_deg"}, "style.rotate: "),
    # PostgreSQL stores no NUL
    ({"version": 1, "label": {"property": "a\0b"}}, "style.label.property: "),
    ({"version": 1, "color": {**COLOR, "title": "\0"}}, "style.color.title: "),
    ({"version": 1, "icon": {"property": "kind", "type": "match", "cases": [["\0", "ship"]], "default": "car"}}, "style.icon.cases.0.0: "),
]


@pytest.fixture
def editor(user_with: Callable[..., APIClient]) -> APIClient:
    Layer.objects.create(name="ships")
    return user_with("change_layer")


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_saved_and_read_by_everybody(editor: APIClient, nobody: APIClient, style: dict[str, Any]) -> None:
    assert editor.patch("/api/layers/ships/", {"style": style}, format="json").json()["style"] == style
    assert nobody.get("/api/layers/ships/").json()["style"] == style
    assert nobody.get("/api/layers/").json()[0]["style"] == style


@pytest.mark.parametrize(("style", "message"), REFUSED)
def test_what_cannot_be_drawn_is_refused_with_its_place(editor: APIClient, style: Any, message: str) -> None:
    answer = editor.patch("/api/layers/ships/", {"style": style}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_style")
    assert answer.json()["message"].startswith(message)
    assert Layer.objects.get().style is None


def test_a_style_that_is_too_large_is_refused(editor: APIClient) -> None:
    cases = [["é" * 200, "#ffffff"] for _ in range(32)]
    style = {"version": 1, "color": {"property": "kind", "type": "match", "cases": cases, "default": "#888888"}}
    assert editor.patch("/api/layers/ships/", {"style": style}, format="json").status_code == 200
    icons = {"property": "kind", "type": "match", "cases": [["é" * 200, "star"] for _ in range(32)], "default": "star"}
    answer = editor.patch("/api/layers/ships/", {"style": {**style, "icon": icons}}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_null_takes_the_style_away(editor: APIClient) -> None:
    editor.patch("/api/layers/ships/", {"style": EXAMPLE}, format="json")
    assert editor.patch("/api/layers/ships/", {"style": None}, format="json").json()["style"] is None


def test_a_style_is_changed_by_those_who_may_change_the_layer(
    editor: APIClient, nobody: APIClient, user_with: Callable[..., APIClient]
) -> None:
    body = {"style": EXAMPLE}
    assert nobody.patch("/api/layers/ships/", body, format="json").status_code == 401
    assert user_with("view_layer", "add_layer").patch("/api/layers/ships/", body, format="json").status_code == 403


def test_a_style_is_not_written_over_that_of_somebody_else(editor: APIClient) -> None:
    version = editor.get("/api/layers/ships/")["ETag"]
    editor.patch("/api/layers/ships/", {"style": {"version": 1, "color": "#ff0000"}}, format="json")
    answer = editor.patch("/api/layers/ships/", {"style": EXAMPLE}, format="json", HTTP_IF_MATCH=version)
    assert answer.status_code == 412


def test_layers_are_listed_in_their_order(editor: APIClient) -> None:
    Layer.objects.create(name="boats", order=2)
    assert editor.patch("/api/layers/ships/", {"group": "Sea", "order": -1}, format="json").json()["group"] == "Sea"
    assert [layer["name"] for layer in editor.get("/api/layers/").json()] == ["ships", "boats"]


def test_the_schema_is_served_and_says_the_same(nobody: APIClient) -> None:
    answer = nobody.get("/api/layer-style.schema.json")
    assert (answer.status_code, answer["Content-Type"], answer["Access-Control-Allow-Origin"]) == (200, "application/schema+json", "*")
    schema = jsonschema_rs.Draft202012Validator(answer.json())
    assert all(schema.is_valid(style) for style in STYLES)


def test_a_style_that_is_nested_too_deeply_or_not_finite_is_refused() -> None:
    from streaming.core.errors import StreamError

    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    odd = deepcopy(EXAMPLE)
    odd["color"]["domain"] = [0, float("nan")]
    for style in ({"version": 1, "label": deep}, odd, {"version": 1, "size": float("inf")}):
        with pytest.raises(StreamError) as refused:
            check_style(style)
        assert refused.value.code in ("invalid_style", "too_large")
