"""Files of features in every shape they come in."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from streaming.core.errors import StreamError
from streaming.features import feature_file
from streaming.features.feature_file import FeatureFile, with_id_from
from streaming.features.large_documents import split_documents
from tests.commands.conftest import collection, feature

THREE = [feature("a"), feature("b", name="é…"), feature(3, size=1.5)]

SHAPES = {
    "lines": "\n".join(map(json.dumps, THREE)),
    "lines with blanks and CR": "\r\n\r\n".join(json.dumps(one) for one in THREE) + "\r\n",
    "text sequence": "".join(f"\x1e{json.dumps(one, indent=1)}\n" for one in THREE),
    "collection on one line": json.dumps(collection(*THREE)),
    "indented collection": json.dumps(collection(*THREE), indent=2),
    "collection with a feature a line": '{\n"type": "FeatureCollection",\n"features": [\n'
    + ",\n".join(map(json.dumps, THREE))
    + "\n]\n}\n",
    "collection whose first line ends in its list": '{"type":"FeatureCollection","features":[\n'
    + ",\n".join(map(json.dumps, THREE))
    + "]}",
    "type at the end": json.dumps({"name": {"features": [1]}, "numbers": [1, 2.5e300], "features": THREE, "type": "FeatureCollection"}),
    "byte order mark": "\ufeff" + json.dumps(collection(*THREE)),
    "array": json.dumps(THREE),
    "indented array": json.dumps(THREE, indent=1),
    "comment before a collection": "// made by hand\n# twice\n" + json.dumps(collection(*THREE)),
    "comment before lines": "# made by hand\n" + "\n".join(map(json.dumps, THREE)),
    "mark and comment": "\ufeff\n// made by hand\r\n" + json.dumps(collection(*THREE), indent=1),
    "indented features": "\n".join(json.dumps(one, indent=2) for one in THREE),
    "collections one a line": "\n".join(json.dumps(collection(one)) for one in THREE),
}


def read(path: Path) -> list[object]:
    with FeatureFile(str(path)) as file:
        return [one.message if isinstance(one, StreamError) else json.loads(one) for one in file.records()]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("packed", [False, True])
def test_any_shape_is_recognised_by_its_content(tmp_path: Path, shape: str, packed: bool) -> None:
    path = tmp_path / "no-extension"
    data = SHAPES[shape].encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read(path) == THREE


@pytest.mark.parametrize("shape", SHAPES)
def test_small_chunks_make_no_difference(tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_file, "CHUNK", 7)
    path = tmp_path / "file"
    path.write_text(SHAPES[shape])
    assert read(path) == THREE


@pytest.mark.parametrize("text", [json.dumps(feature("a")), json.dumps(feature("a"), indent=1)])
def test_a_single_feature_is_a_document(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert read(path) == [feature("a")]


@pytest.mark.parametrize("text", ["", "\n \n", json.dumps(collection()), '{"features": [], "type": "FeatureCollection"}'])
def test_nothing_is_read_from_an_empty_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert read(path) == []


def test_numbers_keep_their_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"type":"FeatureCollection","features":[{"id":9007199254740993,"x":1.0}]}')
    with FeatureFile(str(path)) as file:
        assert list(file.records()) == [b'{"id":9007199254740993,"x":1.0}']


def test_a_broken_line_does_not_keep_its_neighbours_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"type": "Feature", oops}\n' + json.dumps(feature("a")))
    with FeatureFile(str(path)) as file:
        assert list(file.records()) == [b'{"type": "Feature", oops}', json.dumps(feature("a")).encode()]


def test_what_precedes_a_broken_feature_of_a_collection_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(json.dumps(collection(feature("a"), feature("b"))).replace('"b"', "b"))
    first, error = read(path)
    assert first == feature("a")
    assert "cannot be read from here on" in str(error)


def test_text_that_is_not_utf8_is_left_to_its_own_feature(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(json.dumps(collection(feature("a", name="X"), feature("b"))).encode().replace(b"X", b"\xff"))
    with FeatureFile(str(path)) as file:
        first, second = file.records()
    assert isinstance(first, bytes) and b"\xff" in first
    assert json.loads(second) == feature("b")  # type: ignore[arg-type]


def test_what_precedes_the_end_of_a_cut_gzip_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    packed = gzip.compress("\n".join(json.dumps(feature(number)) for number in range(1000)).encode())
    path.write_bytes(packed[:-10])
    *_, error = read(path)
    assert "damaged" in str(error)


@pytest.mark.parametrize(
    "text", ["[", "7", '{"type":"Topology"}', '{"type":"FeatureCollection","features":{}}', '{"type":"FeatureCollection"', "{]"]
)
def test_what_is_no_geojson_is_one_refusal(text: str) -> None:
    (error,) = split_documents([text.encode()], 1000)
    assert isinstance(error, StreamError)


def test_a_feature_without_end_is_not_read_for_ever() -> None:
    def chunks() -> object:
        yield b'{"type":"FeatureCollection","features":[{"a":"'
        for _ in range(1000):
            yield b"x" * 1000
        raise AssertionError("all of it was read")

    (error,) = split_documents(chunks(), 10_000)  # type: ignore[arg-type]
    assert isinstance(error, StreamError)


def test_lines_of_a_pipe_come_out_as_they_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    reading_end, writing_end = os.pipe()
    with open(reading_end, "rb") as pipe, open(writing_end, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        guard = threading.Timer(10, writer.close)
        guard.start()
        with FeatureFile("-") as file:
            batches = file.batches()
            for one in THREE:
                writer.write(json.dumps(one).encode() + b"\n")
                assert [json.loads(record) for record in next(batches)] == [one]  # type: ignore[arg-type]
        assert not writer.closed
        guard.cancel()


def test_the_position_reaches_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(SHAPES["lines"].encode()))
    with FeatureFile(str(path)) as file:
        list(file.records())
        assert file.position == file.size == path.stat().st_size


def test_ids_can_be_taken_from_a_property() -> None:
    records = [json.dumps(feature(None, code=code)).encode() for code in ("x", 7, 8.0)]
    assert [json.loads(one)["id"] for one in with_id_from(records, "code")] == ["x", 7, 8]  # type: ignore[arg-type]


def test_a_feature_without_the_id_property_is_refused() -> None:
    (error,) = with_id_from([json.dumps(feature("a")).encode()], "code")
    assert isinstance(error, StreamError)
    assert "'code'" in error.message
