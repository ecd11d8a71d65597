"""The stretch of rasters that are not of bytes: which values become black and white.

All files of a tileset with the same number of bands share one stretch, so that the same value looks the same on both
sides of a seam. It is the range that 96 % of their values lie in. Values of bytes are shown as they are, if all the
files are of bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ranges = tuple[tuple[float, float], ...]
"""Low and high, for each band; nothing: values are shown as they are."""
SAMPLE = 1024
"""Pixels along each side of the sample from which a stretch is computed, of all files together."""
PERCENTILES = (2, 98)


class Layer(NamedTuple):
    """One file, and the bands of it that are shown."""

    dataset: Any
    bands: tuple[int, ...]


def automatic_stretches(files: Iterable[Layer]) -> dict[int, Ranges]:
    """The stretch of the files with so many bands, by that number."""
    groups: defaultdict[int, list[Layer]] = defaultdict(list)
    for file in files:
        groups[len(file.bands)].append(file)
    return {count: () if all(map(_of_bytes, group)) else _ranges(group) for count, group in groups.items()}


def is_stretched(dataset: Any, bands: tuple[int, ...]) -> bool:
    """Whether the values of a file are stretched, if it is alone."""
    return not _of_bytes(Layer(dataset, bands))


def magnitudes(values: NDArray[Any]) -> NDArray[Any]:
    """Real values: of complex numbers their magnitude, as for radar images."""
    return np.abs(values) if np.iscomplexobj(values) else values


def stretched(values: NDArray[Any], ranges: Ranges) -> NDArray[np.uint8]:
    """The values (bands, height, width) as 0 to 255."""
    if not ranges:
        plain: NDArray[np.uint8] = np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
        return plain
    low, high = (np.array(ends, np.float64).reshape(-1, 1, 1) for ends in zip(*ranges, strict=True))
    shades: NDArray[np.uint8] = np.rint(np.nan_to_num(np.clip((values - low) / (high - low), 0, 1)) * 255).astype(np.uint8)
    return shades


def _of_bytes(file: Layer) -> bool:
    return all(file.dataset.dtypes[number - 1] == "uint8" for number in file.bands)


def _ranges(files: Sequence[Layer]) -> Ranges:
    pixels = sum(file.dataset.width * file.dataset.height for file in files)
    step = max(1.0, sqrt(pixels) / SAMPLE)
    count = len(files[0].bands)
    return tuple(_range(np.concatenate([_sample(file, index, step) for file in files])) for index in range(count))


def _sample(file: Layer, index: int, step: float) -> NDArray[Any]:
    """Every so-manieth value of a band, in both directions; without nodata."""
    shape = (max(1, round(file.dataset.height / step)), max(1, round(file.dataset.width / step)))
    values = magnitudes(file.dataset.read(file.bands[index], out_shape=shape, masked=True).compressed())
    finite: NDArray[Any] = values[np.isfinite(values)].astype(np.float64)
    return finite


def _range(values: NDArray[Any]) -> tuple[float, float]:
    low, high = map(float, np.percentile(values, PERCENTILES)) if values.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0
