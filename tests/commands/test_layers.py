"""`manage.py layers`."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from streaming.features.publishing import publish
from streaming.models import Layer

from .conftest import feature, held

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


def layers(*arguments: str) -> str:
    out = io.StringIO()
    call_command("layers", *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _two_layers(redis: None, transactional_db: None) -> None:
    Layer.objects.create(name="fleet", title="The fleet", public=False, ttl_seconds=300)
    publish("fleet", [feature(number) for number in range(1200)])
    publish("towns", [feature("b", name="B"), feature("a")])


def test_the_layers_are_listed() -> None:
    head, fleet, towns = layers().splitlines()
    assert head.split() == ["LAYER", "FEATURES", "MAY", "READ", "EXPIRE", "AFTER", "TITLE"]
    assert fleet.split() == ["fleet", "1,200", "streaming.view_layer", "300", "s", "The", "fleet"]
    assert towns.split() == ["towns", "2", "everybody", "never", "towns"]
    assert len(layers("list", "towns").splitlines()) == 2


@pytest.mark.parametrize("name", ["towns.geojson", "towns.geojson.gz", "towns.geojsonl", "towns.jsonl.gz"])
def test_a_layer_is_exported_and_can_be_published_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert "2 features exported" in layers("export", "towns", "--output", str(path))
    text = (gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()).decode()
    found = [json.loads(line) for line in text.splitlines()] if "jsonl" in name else json.loads(text)["features"]
    assert [each["id"] for each in found] == ["a", "b"]
    call_command("publish", str(path), "--layer", "copy", stdout=io.StringIO())
    assert held("copy") == held("towns")


def test_an_empty_layer_is_an_empty_collection(tmp_path: Path) -> None:
    Layer.objects.create(name="empty")
    path = tmp_path / "empty.geojson"
    layers("export", "empty", "--output", str(path))
    assert json.loads(path.read_text()) == {"type": "FeatureCollection", "features": []}


def test_an_export_goes_to_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, write_through=True))
    call_command("layers", "export", "towns", "--format", "geojsonl")
    assert len(written.getvalue().splitlines()) == 2


def test_a_layer_is_cleared() -> None:
    assert "1,200 features removed" in layers("clear", "fleet", "--yes")
    assert (held("fleet"), len(held("towns")), Layer.objects.count()) == ({}, 2, 2)


def test_layers_are_deleted() -> None:
    layers("delete", "fleet", "towns", "--yes")
    assert (held("towns"), Layer.objects.count()) == ({}, 0)


@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("YES", 0), ("", 2), ("n", 2)])
def test_whoever_is_at_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    if left:
        with pytest.raises(CommandError, match="Nothing was changed"):
            layers("clear", "towns")
    else:
        layers("clear", "towns")
    assert "towns (2 features)" in asked[0]
    assert len(held("towns")) == left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clear", "fleet"), "--yes"),
        (("delete", "--yes"), "Name the layers"),
        (("delete", "nothing", "--yes"), "there is no layer"),
        (("export",), "Name one layer"),
        (("export", "fleet", "towns"), "Name one layer"),
        (("export", "towns", "--output", "/nowhere/file"), "No such file"),
        (("sing",), "invalid choice"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(CommandError, match=message):
        layers(*arguments)
    assert (len(held("fleet")), len(held("towns"))) == (1200, 2)
