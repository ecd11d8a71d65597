"""`manage.py publish`."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streaming.models import Layer

from .conftest import collection, feature, held

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


def publish(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("publish", *arguments, "--layer", "towns", stdout=out, stderr=out, **options)
    return out.getvalue()


def test_it_publishes_a_file_and_counts(lines_file: Callable[..., str]) -> None:
    assert "2 added, 0 updated, 0 unchanged, 0 refused" in publish(lines_file(feature("a"), feature("b")))
    assert "1 added, 1 updated, 1 unchanged, 0 refused" in publish(lines_file(feature("a"), feature("b", name="B"), feature("c")))
    assert set(held("towns")) == {"a", "b", "c"}


def test_it_publishes_a_packed_collection(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(gzip.compress(json.dumps(collection(*(feature(number) for number in range(2500)))).encode()))
    assert "2,500 added" in publish(str(path))
    assert len(held("towns")) == 2500


def test_it_publishes_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(feature("a")).encode())))
    assert "1 added" in publish("-")


def test_refused_features_fail_the_command_and_nothing_else(lines_file: Callable[..., str]) -> None:
    out = io.StringIO()
    path = lines_file(feature("a"), feature(None), feature("c"))
    with pytest.raises(CommandError, match="1 of 3 features were refused"):
        call_command("publish", path, "--layer", "towns", stdout=out, stderr=out)
    assert "feature 2: id: a feature needs an id" in out.getvalue()
    assert "--id-property" in out.getvalue()
    assert set(held("towns")) == {"a", "c"}


def test_a_refused_feature_of_a_later_batch_has_its_number_in_the_file(lines_file: Callable[..., str]) -> None:
    out = io.StringIO()
    path = lines_file(*(feature(number, text="x" * 1000) for number in range(1500)), feature(None))
    with pytest.raises(CommandError, match="1 of 1,501 features were refused"):
        call_command("publish", path, "--layer", "towns", stdout=out, stderr=out)
    assert "feature 1,501: " in out.getvalue()


def test_fail_fast_leaves_later_batches_out(lines_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="refused"):
        publish(lines_file(feature(None), *(feature(number, text="x" * 1000) for number in range(1000))), "--fail-fast")
    assert 0 < len(held("towns")) < 1000


def test_ids_come_from_a_property(lines_file: Callable[..., str]) -> None:
    publish(lines_file(feature(None, code="x")), "--id-property", "code")
    assert set(held("towns")) == {"x"}


def test_it_creates_the_layer_as_told(lines_file: Callable[..., str]) -> None:
    publish(lines_file(feature("a")), "--title", "Towns", "--ttl", "90", "--max-features", "5")
    layer = Layer.objects.get()
    assert (layer.name, layer.title, layer.ttl_seconds, layer.max_features) == ("towns", "Towns", 90, 5)


def test_it_changes_a_layer_only_as_told(lines_file: Callable[..., str]) -> None:
    Layer.objects.create(name="towns", title="Old", public=False)
    publish(lines_file(feature("a")), "--title", "New")
    layer = Layer.objects.get()
    assert (layer.title, layer.public) == ("New", False)


def test_no_create_refuses_an_unknown_layer(lines_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="there is no layer 'towns'"):
        publish(lines_file(feature("a")), "--no-create")
    assert not Layer.objects.exists()


def test_a_full_layer_is_told(lines_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="1 of 3"):
        publish(lines_file(feature("a"), feature("b"), feature("c")), "--max-features", "2")


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(CommandError, match="No such file"):
        publish("nowhere.geojson")


def test_a_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Is a directory"):
        publish(str(tmp_path))


def test_a_bad_layer_name_is_told(lines_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="Letters, digits"):
        call_command("publish", lines_file(feature("a")), "--layer", "not a name")


@pytest.mark.parametrize("text", ["", "{", "null", json.dumps(feature(None)), json.dumps(feature("a", lat=95))])
def test_what_is_refused_makes_no_layer(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.geojson"
    path.write_text(text)
    if text:
        with pytest.raises(CommandError):
            publish(str(path), title="Towns")
    else:
        publish(str(path), title="Towns")
    assert not Layer.objects.exists()


def test_a_new_layer_has_its_settings_with_its_first_feature(lines_file: Callable[..., str]) -> None:
    publish(lines_file(feature("a")), title="Towns", ttl_seconds=60.0)
    assert Layer.objects.values_list("name", "title", "ttl_seconds").get() == ("towns", "Towns", 60.0)


def test_the_settings_of_a_new_layer_are_checked_first(lines_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="cannot be so"):
        publish(lines_file(feature("a")), max_features=-1)


def test_coordinates_may_be_of_another_crs(lines_file: Callable[..., str], tmp_path: Path) -> None:
    publish(lines_file(feature("a", 2683141, 1248117)), "--crs", "EPSG:2056")
    assert held("towns")["a"]["geometry"]["coordinates"] == pytest.approx([8.539578872, 47.378641663], abs=1e-8)
    path = tmp_path / "qgis.geojson"
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2056"}}
    path.write_text("// exported\n" + json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature("b", 2683141, 1248117)]}))
    publish(str(path))
    assert held("towns")["b"]["geometry"] == held("towns")["a"]["geometry"]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature("c", 2683141, 1248117)], "crs": crs}))
    publish(str(path))
    assert held("towns")["c"]["geometry"] == held("towns")["a"]["geometry"]


def test_an_unknown_crs_is_one_line(lines_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="EPSG:99999 does not exist"):
        publish(lines_file(feature("a")), "--crs", "99999")


def test_a_new_layer_may_wrap_longitudes(lines_file: Callable[..., str]) -> None:
    publish(lines_file(feature("a", 181)), "--wrap-longitude")
    assert held("towns")["a"]["geometry"]["coordinates"] == [-179, 47]
    assert Layer.objects.get(name="towns").wrap_longitude
    publish(lines_file(feature("b", 182)))
    assert held("towns")["b"]["geometry"]["coordinates"] == [-178, 47]


def test_times_that_cannot_be_read_are_reported(lines_file: Callable[..., str]) -> None:
    Layer.objects.create(name="towns", time_property="t")
    assert "feature 2: properties.t: 'soon' is no time" in publish(lines_file(feature("a", t="2018-08-01 05:00"), feature("b", t="soon")))
    assert set(held("towns")) == {"a", "b"}
