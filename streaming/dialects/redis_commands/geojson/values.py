"""One JSON value of Redis, stored or published, with the GeoJSON in it.

It is taken apart once, projected once per CRS in which a client has a box, and written once per CRS in which a client wants it, however
many clients there are. What is not projected is sent byte for byte as it came. Nothing here raises because of what a publisher wrote, but
`Value` itself.
"""

from __future__ import annotations

import json
from itertools import compress
from math import isfinite

import msgspec
import numpy as np
from msgspec import Raw

from streaming.core.json_depth import exceeds_depth
from streaming.engine.conf import conf

from .crs import WGS84, Crs
from .features import Features
from .half_characters import without_half_characters
from .projection import projected_few, projected_texts, with_projected_bbox
from .shapes import GEOMETRIES, Members, decode_members, encode_members, framed, type_of
from .spatial_filter import Area, PlaceOfFew, Places

MAX_DEPTH = 126
"""Levels of arrays and objects: what all peers read. More is bad data."""
MAX_DIGITS = 4300
"""Of an integer: what Python reads by itself."""
MAX_FEATURES = 200_000
"""Of one collection. More is bad data."""
_MEMBER = b"\0"
"""Stands for the features in the text around them."""
_EXPONENTS = bytes.maketrans(b"123456789E", b"000000000e")

_decode_raw = msgspec.json.Decoder(Raw).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


class BadValue(ValueError):
    """Not JSON that could be sent on (NaN and Infinity are none); the message has the reason."""


class Value:
    """The bytes, and what is made of them on demand."""

    def __init__(self, text: bytes) -> None:
        """Raises BadValue."""
        if len(text) > conf.REDIS_VALUE_BYTES:
            raise BadValue(f"a value has at most {conf.REDIS_VALUE_BYTES} bytes")
        self.text, self.left_out = text, 0
        """Features that are left out of a collection, because they have half a character, which is no text."""
        try:
            _check(text)
        except BadValue:
            self.text, self.left_out = without_half_characters(text)
            if not self.left_out:
                raise
            _check(self.text)
        self.members = _members(self.text)
        self._type = None if self.members is None else type_of(self.members)
        self._features = self._texts_of_features()
        if len(self._features) > MAX_FEATURES:
            raise BadValue(f"a collection has at most {MAX_FEATURES} features")
        self._taken_apart: Features | None = None
        self._places: dict[int, Places | PlaceOfFew] = {}
        self._contents: dict[tuple[int, bytes | None], bytes] = {}

    @property
    def features(self) -> Features:
        """One of each feature, or the one geometry it is; none of what is not GeoJSON."""
        if self._taken_apart is None:
            self._taken_apart = Features(self._features)
        return self._taken_apart

    @property
    def invalid(self) -> bool:
        """Whether a geometry in it cannot be read: it is in no box, and null in another CRS."""
        return any(shape.invalid for shape in self.features.shapes)

    @property
    def passes_always(self) -> bool:
        """Whether no box keeps it out."""
        return not self._features or self.features.one_passes_always

    def places(self, crs: Crs) -> Places | PlaceOfFew:
        """Where it is in a CRS; made once."""
        made = self._places.get(crs.code)
        if made is None:
            made = self._places[crs.code] = self._find_places(crs)
        return made

    def passes(self, area: Area) -> bool:
        """Whether one of its geometries is in the area, or it has none."""
        return not self._features or self.places(area.crs).touches(area)

    def content(self, crs: Crs = WGS84, trim: Area | None = None) -> bytes:
        """JSON in a CRS, the same bytes for all clients; of a feature collection only the features in the area `trim`."""
        kept = None if trim is None else self._kept(trim)
        if kept is None and (crs is WGS84 or self._type is None):
            return self.text
        key = crs.code, None if kept is None else kept.tobytes()
        made = self._contents.get(key)
        if made is None:
            made = self._contents[key] = self._write(crs, kept)
        return made

    def forget(self) -> None:
        """Let go of what was made for clients: it is large."""
        self._places.clear()
        self._contents.clear()

    def _texts_of_features(self) -> list[Raw] | list[bytes]:
        if self._type == "FeatureCollection":
            assert self.members is not None
            try:
                return _decode_list(self.members["features"])
            except (KeyError, msgspec.DecodeError):
                self._type = None
        elif self._type != "Feature" and self._type not in GEOMETRIES:
            self._type = None
        return [] if self._type is None else [self.text]

    def _find_places(self, crs: Crs) -> Places | PlaceOfFew:
        features = self.features
        if len(features) == 1 and features.positions.few and not features.shapes[0].passes_always:
            return PlaceOfFew(features, crs)
        return Places(features, crs)

    def _kept(self, area: Area) -> np.ndarray | None:
        """Flags of the features in the area; None if they are all, or this is no collection."""
        if self._type != "FeatureCollection":
            return None
        kept = np.zeros(len(self._features), bool)
        kept[list(self.places(area.crs).touching(area))] = True
        return None if kept.all() else kept

    def _write(self, crs: Crs, kept: np.ndarray | None) -> bytes:
        texts = self._texts(crs)
        if self._type != "FeatureCollection":
            return bytes(texts[0])
        assert self.members is not None
        before, _, after = self._around(crs).partition(_MEMBER)
        return b"%b[%b]%b" % (before, b",".join(texts if kept is None else compress(texts, kept.tolist())), after)

    def _texts(self, crs: Crs) -> list[Raw | bytes]:
        if crs is WGS84 or not self._features:
            return list(self._features)
        places = self.places(crs)
        if isinstance(places, PlaceOfFew):
            return [projected_few(self.features, places, crs)]
        return projected_texts(self.features, places, crs)

    def _around(self, crs: Crs) -> bytes:
        """The text around the features of a collection."""
        assert self.members is not None
        members: Members = {**self.members, "features": Raw(_MEMBER)}
        if crs is WGS84:
            return encode_members(members)
        boxes: list[Raw] = []
        return with_projected_bbox(bytes(framed(members, boxes)), boxes, crs)


def _members(text: bytes) -> Members | None:
    try:
        return decode_members(text)
    except msgspec.DecodeError:
        return None


def _check(text: bytes) -> None:
    try:
        if not text.isascii():
            text.decode()
        _decode_raw(text)
        digits = text.translate(_EXPONENTS, b"+")
        if b"0e000" in digits or (len(text) > MAX_DIGITS and b"0" * MAX_DIGITS in digits):  # perhaps a number that is out of range
            json.loads(text, parse_float=_finite)
        if len(text) > 2 * MAX_DEPTH and exceeds_depth(text, MAX_DEPTH):
            raise BadValue(f"nested more than {MAX_DEPTH} levels deep")
    except RecursionError:
        raise BadValue(f"nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:  # of JSON, of UTF-8, or of a number
        raise BadValue(str(error)) from None


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number is out of range")
    return number
