"""Distances along the surface of the WGS 84 ellipsoid, in metres: between places, and between edges that are straight in degrees.

Distances are geodesics by pyproj. Chords, straight through the Earth, are faster and say which of them need not be computed. How near
two edges come is known to within `RESOLUTION`. Places are rows of longitude and latitude, edges are rows of two places, which may be
equal.
"""

from __future__ import annotations

from math import pi, sin

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

Floats = NDArray[np.float64]

RESOLUTION = 0.1
"""Metres to which it is known how near an edge comes."""
MAX_PAIRS = 200_000
"""Pairs of edges, or of parts of them, that are compared: some tenths of a second. Only edges that follow each other for thousands of
kilometres, again and again at nearly the distance asked for, have more: the rest counts as further away."""
TOGETHER = 20_000

_GEOD = Geod(ellps="WGS84")
_METRES_PER_DEGREE = 111_695.0  # the most: along a meridian at a pole
_EQUATOR = 6_378_137.0
_ECCENTRICITY = 0.0066943799901413165  # squared
_LARGEST_CURVATURE = 6_399_600.0  # metres, the largest radius of curvature of the ellipsoid
_SMALLEST_CURVATURE = 6_335_400.0
_FAR = 15_000_000.0  # metres, beyond which chords say little about geodesics


def metres(ones: Floats, others: Floats) -> Floats:
    """Geodesic distances of places."""
    x, y, u, v = (np.ascontiguousarray(column) for places in (ones, others) for column in places.T)
    distances: Floats = _GEOD.inv(x, y, u, v)[2]
    return distances


def in_space(places: Floats) -> Floats:
    """Places as x, y and z in metres from the centre of the Earth."""
    longitudes, latitudes = np.radians(places).T
    normal = _EQUATOR / np.sqrt(1 - _ECCENTRICITY * np.sin(latitudes) ** 2)
    out = normal * np.cos(latitudes)
    return np.stack([out * np.cos(longitudes), out * np.sin(longitudes), normal * (1 - _ECCENTRICITY) * np.sin(latitudes)], axis=1)


def chords(ones: Floats, others: Floats) -> Floats:
    """Distances of places in space."""
    between = ones - others
    lengths: Floats = np.sqrt(_dot(between, between))
    return lengths


def longest_chord(radius: float) -> float:
    """No two places within so many metres of each other have a longer one: by Schur's theorem, that of the least curved way."""
    return 2 * _LARGEST_CURVATURE * sin(min(radius / (2 * _LARGEST_CURVATURE), pi / 2))


def safe_chord(radius: float) -> float:
    """Any two places with a shorter one are within so many metres of each other."""
    return 0.99 * 2 * _SMALLEST_CURVATURE * sin(min(radius / (2 * _SMALLEST_CURVATURE), pi / 2))


def longest(edges: Floats) -> Floats:
    """Metres that edges have at most."""
    start, south, end, north = edges.T
    nearest = np.where(south * north < 0, 0.0, np.minimum(np.abs(south), np.abs(north)))
    length: Floats = _METRES_PER_DEGREE * np.hypot(north - south, (end - start) * np.cos(np.radians(nearest)))
    return length


def middles(edges: Floats) -> Floats:
    """The places half way in degrees."""
    return (edges[:, :2] + edges[:, 2:]) / 2


class Budget:
    """How many more pairs may be compared."""

    def __init__(self, pairs: float = MAX_PAIRS) -> None:
        self._left = pairs

    def take(self, pairs: float) -> bool:
        """Whether so many more may be."""
        self._left -= pairs
        return self._left >= 0


def edges_within(ones: Floats, others: Floats, radius: float, budget: Budget | None = None) -> bool:
    """Whether any of some edges comes as near as `radius` metres to the edge in the same row of the others."""
    budget = budget or Budget()
    waiting = [(ones, others)]
    while waiting:
        ones, others = waiting.pop()
        if len(ones) > TOGETHER:
            waiting += [(ones[TOGETHER:], others[TOGETHER:]), (ones[:TOGETHER], others[:TOGETHER])]
        elif len(ones):
            if not budget.take(len(ones)):
                return False
            found, ones, others = _decide(ones, others, radius)
            if found:
                return True
            waiting.append(_halved(ones, others))
    return False


def _decide(ones: Floats, others: Floats, radius: float) -> tuple[bool, Floats, Floats]:
    """Whether a pair is near enough, else the pairs of which parts still may be."""
    chord = longest_chord(radius)
    reach = (longest(ones) + longest(others)) / 2
    near = chords(in_space(middles(ones)), in_space(middles(others))) - reach <= chord
    ones, others, reach = ones[near], others[near], reach[near]
    places, lengths = _closest(ones, others)
    bend = 1.5 * (_bend(ones) + _bend(others))
    near = lengths - np.minimum(bend, 2 * reach) <= chord
    ones, others, reach, bend = ones[near], others[near], reach[near], bend[near]
    distances = metres(places[0][near], places[1][near])
    if (distances <= radius).any():
        return True, ones, others
    slack = 2 * reach * _chord_error(radius)
    open_ = ((bend > RESOLUTION / 2) | ((distances - slack <= radius) & (slack > RESOLUTION))) & (reach > RESOLUTION)
    return False, ones[open_], others[open_]


def _halved(ones: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Two pairs of each: the longer of its edges in halves."""
    first = (longest(ones) >= longest(others))[:, None]
    middle_one, middle_other = middles(ones), middles(others)
    halves = [
        (np.where(first, np.hstack(half), ones), np.where(first, others, np.hstack(other_half)))
        for half, other_half in (
            ((ones[:, :2], middle_one), (others[:, :2], middle_other)),
            ((middle_one, ones[:, 2:]), (middle_other, others[:, 2:])),
        )
    ]
    return np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])


def _chord_error(radius: float) -> float:
    """Metres for each metre of two edges by which their nearest places may be wrong, if chords say which they are.

    Chords grow with geodesics, but not quite alike in all directions: by a seventieth of how much they are shorter.
    """
    return 1.0 if radius > _FAR else 7e-5 * (radius / 1e6) ** 2


def _bend(edges: Floats) -> Floats:
    """Metres between the middle of an edge and that of its chord."""
    return chords(in_space(middles(edges)), (in_space(edges[:, :2]) + in_space(edges[:, 2:])) / 2)


def _closest(ones: Floats, others: Floats) -> tuple[tuple[Floats, Floats], Floats]:
    """The places of edges at which their chords are nearest to each other, and how near these are.

    As in C. Ericson, Real-Time Collision Detection (2005), section 5.1.9.
    """
    start, end, other_start, other_end = (in_space(edges[:, side]) for edges in (ones, others) for side in (slice(2), slice(2, 4)))
    along, other_along, between = end - start, other_end - other_start, start - other_start
    a, e = (np.maximum(_dot(way, way), 1e-12) for way in (along, other_along))
    b, c, f = _dot(along, other_along), _dot(along, between), _dot(other_along, between)
    across = a * e - b * b
    s = np.clip(np.where(across > 1e-12 * a * e, (b * f - c * e) / np.where(across == 0, 1.0, across), 0.0), 0.0, 1.0)
    t = np.clip((b * s + f) / e, 0.0, 1.0)
    s = np.clip((b * t - c) / a, 0.0, 1.0)
    lengths = chords(start + along * s[:, None], other_start + other_along * t[:, None])
    return (_at(ones, s), _at(others, t)), lengths


def _at(edges: Floats, part: Floats) -> Floats:
    return edges[:, :2] + (edges[:, 2:] - edges[:, :2]) * part[:, None]


def _dot(ones: Floats, others: Floats) -> Floats:
    product: Floats = np.einsum("ij,ij->i", ones, others)
    return product
