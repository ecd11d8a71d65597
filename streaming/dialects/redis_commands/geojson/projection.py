"""GeoJSON of any publisher in another CRS: the text of features and geometries, bounding boxes included.

A geometry that cannot be read, or that has a position which the CRS cannot express, becomes null. Everything else is as it was written:
only the numbers of positions are replaced, between the pieces of text that stand around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

import msgspec
import numpy as np
from msgspec import Raw

from .coordinates import read_coordinates
from .crs import Crs
from .features import Features, Frame
from .positions import Floats, numbers_of, projected_boxes
from .shapes import BBOX
from .spatial_filter import PlaceOfFew, Places

_encode = msgspec.json.Encoder().encode
_BBOX_MEMBER = b'"bbox":' + BBOX


def projected_texts(features: Features, places: Places, crs: Crs) -> list[Raw | bytes]:
    """The text of each feature in a CRS, in which they have these places."""
    runs = _runs(features, places)
    boxes = _Boxes([frame for frame in features.frames if frame is not None], crs)
    made: list[Raw | bytes] = []
    for text, frame, shape, placed in zip(features.texts, features.frames, features.shapes, places.have_bounds.tolist(), strict=True):
        if frame is None:
            made.append(text)
            continue
        count = len(frame.pieces) - 1
        own = [next(runs) for _ in range(count)]
        if shape.invalid or (shape.count and not placed):
            boxes.skip(frame)
            made.append(frame.without_geometry)
        elif count == 1 and not frame.boxes:
            made.append(b"%b%b%b" % (frame.pieces[0], own[0], frame.pieces[1]))
        else:
            made.append(boxes.put(frame, _interleaved(frame.pieces, own)))
    return made


def projected_few(features: Features, places: PlaceOfFew, crs: Crs) -> bytes | Raw:
    """The same of one feature with few positions."""
    frame, shape = features.frames[0], features.shapes[0]
    if frame is None:
        return features.texts[0]
    if places.box is None:
        return frame.without_geometry
    positions, xs, ys = features.positions, places.xs, places.ys
    if len(frame.pieces) == 2:
        before, after = frame.pieces
        text = b"%b%b%b" % (before, positions.written_few(xs, ys, 0, len(xs)), after)
    else:
        counts = [*shape.runs()]
        runs = [positions.written_few(xs, ys, end - count, end) for count, end in zip(counts, accumulate(counts), strict=True)]
        text = _interleaved(frame.pieces, runs)
    return _Boxes([frame], crs).put(frame, text) if frame.boxes else text


def with_projected_bbox(text: bytes, boxes: list[Raw], crs: Crs) -> bytes:
    """The text of an object whose bounding box stands as `BBOX` in it."""
    frame = Frame([], boxes)
    return _Boxes([frame], crs).put(frame, text) if boxes else text


def _runs(features: Features, places: Places) -> Iterator[bytes]:
    """The text of the positions of each line, ring or point. Of what has no place in the CRS it is of no use."""
    positions = features.positions
    xs, ys = (_finite(each) for each in (places.xs, places.ys))
    counts = [*chain.from_iterable(shape.runs() for shape in features.shapes)]
    if len(counts) == len(positions):
        return iter(positions.written_each(xs, ys))
    ends = accumulate(counts)
    return (positions.written(xs, ys, end - count, end) for count, end in zip(counts, ends, strict=True))


def _finite(numbers: Floats) -> Floats:
    return np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)


def _interleaved(pieces: Sequence[bytes], runs: Sequence[bytes]) -> bytes:
    made = [b""] * (len(pieces) + len(runs))
    made[0::2], made[1::2] = pieces, runs
    return b"".join(made)


class _Boxes:
    """The bounding boxes of features, projected all at once, and put into their places in the same order."""

    def __init__(self, frames: Sequence[Frame], crs: Crs) -> None:
        numbers = [_numbers(box) for frame in frames for box in frame.boxes]
        sides = [(one[0], one[1], one[len(one) // 2], one[len(one) // 2 + 1]) for one in numbers if one]
        projected = iter(projected_boxes(crs, sides) if sides else ())
        self._texts = iter([_box_text(one, next(projected)) if one else None for one in numbers])

    def skip(self, frame: Frame) -> None:
        """Go on with the next feature."""
        for _ in frame.boxes:
            next(self._texts)

    def put(self, frame: Frame, text: bytes) -> bytes:
        """The text with the boxes of this feature. One that cannot be expressed is left out."""
        for _ in frame.boxes:
            box = next(self._texts)
            if box is None:
                before, _, after = text.partition(_BBOX_MEMBER)
                text = before.removesuffix(b",") + after
            else:
                text = text.replace(BBOX, box, 1)
        return text


def _numbers(box: Raw) -> list[float] | None:
    written = read_coordinates("Point", bytes(box))  # as a position with so many numbers
    if written is None or written.widths not in (b"\4", b"\6"):
        return None
    try:
        return [*map(float, numbers_of(written.numbers))]
    except msgspec.DecodeError:
        return None


def _box_text(numbers: Sequence[float], sides: tuple[float, ...] | None) -> bytes | None:
    if sides is None:
        return None
    half = len(numbers) // 2
    return _encode([*sides[:2], *numbers[2:half], *sides[2:], *numbers[half + 2 :]])
