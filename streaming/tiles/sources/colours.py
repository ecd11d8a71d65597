"""How the values of a raster become red, green, blue and alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp  # type: ignore[import-untyped]
from rio_tiler.colormap import cmap

from .base import invalid_source
from .stretch import Ranges, magnitudes, stretched

Pixels = NDArray[np.uint8]
"""Red, green, blue, alpha: (4, height, width)."""
Colormap = Mapping[int, Sequence[int]]
"""Red, green, blue, alpha by value."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one file is shown.

    `palette` has a row of RGBA for each value. `nearest`: values are numbers of colours, and so cannot be interpolated.
    """

    bands: tuple[int, ...]
    stretch: Ranges
    palette: Pixels | None
    nearest: bool


def shown_bands(dataset: Any) -> tuple[int, ...]:
    """The bands marked as red, green and blue; else the first three, or the first."""
    by_colour = {colour: band for band, colour in reversed(list(enumerate(dataset.colorinterp, start=1)))}
    marked = tuple(by_colour[colour] for colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if colour in by_colour)
    plain = tuple(band for band, colour in enumerate(dataset.colorinterp, start=1) if colour != ColorInterp.alpha)
    return marked if len(marked) == 3 else plain[:3] if len(plain) >= 3 else plain[:1] or (1,)


def colormap_of(dataset: Any, name: str = "") -> Colormap:
    """The colormap of this name; without a name the palette of the file, if it has one.

    `StreamError("invalid_source")`.
    """
    if name:
        if name not in cmap.list():
            raise invalid_source(dataset.name, f"there is no colormap {name[:50]!r}; viridis, terrain and blues are some")
        return dict(cmap.get(name))  # type: ignore[arg-type]
    return dict(dataset.colormap(1)) if dataset.colorinterp[0] == ColorInterp.palette else {}


def palette_of(colormap: Colormap) -> Pixels | None:
    """A row of RGBA for each value, transparent where there is no colour; None without colours."""
    if not colormap:
        return None
    table = np.zeros((max(256, max(colormap) + 2), 4), np.uint8)  # the last row is for all values beyond
    values = list(colormap)
    table[values] = [colormap[value] for value in values]
    return table


def coloured(values: NDArray[Any], alpha: NDArray[np.uint8], look: Look) -> Pixels:
    """The pixels of values (bands, height, width)."""
    values = magnitudes(values)
    alpha = np.where(np.isfinite(values).all(axis=0), alpha, 0)
    if look.palette is None:
        pixels = np.concatenate([np.broadcast_to(stretched(values, look.stretch), (3, *alpha.shape)), alpha[None]])
    else:
        numbers = values[0] if look.nearest else stretched(values, look.stretch)[0]
        pixels = np.moveaxis(look.palette[np.clip(np.nan_to_num(numbers), 0, len(look.palette) - 1).astype(np.intp)], -1, 0).copy()
        pixels[3] = np.minimum(pixels[3], alpha)
    pixels[:, pixels[3] == 0] = 0  # equal where nothing is visible, for smaller files and deltas
    return pixels


def composite(above: Pixels | None, below: Pixels | None) -> Pixels | None:
    """Two tiles as one. Where the upper one is half transparent, the colours are mixed."""
    if above is None or below is None:
        return below if above is None else above
    top, bottom = above[3].astype(np.float32) / 255, below[3].astype(np.float32) / 255
    alpha = top + bottom * (1 - top)
    colours = (above[:3] * top + below[:3] * bottom * (1 - top)) / np.maximum(alpha, 1e-6)
    mixed: Pixels = np.rint(np.concatenate([colours, alpha[None] * 255])).astype(np.uint8)
    return mixed
