"""The process `echo`: gives back what it is given. Clients, and test suites of the standard, try themselves on it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from processes.worker import BBox, Input, Job, Media

Tiff = Annotated[bytes | None, Media("image/tiff; application=geotiff")]


class Echo(NamedTuple):
    """What `echo` was given.

    Attributes:
        text: The text.
        pause: The seconds it has waited.
        numbers: The numbers.
        blob: The image, byte for byte.
        area: The box.
    """

    text: str
    pause: float | None
    numbers: list[int] | None
    blob: Tiff
    area: BBox | None


def echo(
    text: str,
    pause: Annotated[float | None, Input(minimum=0, maximum=3600)] = None,
    numbers: list[int] | None = None,
    blob: Tiff = None,
    area: BBox | None = None,
    *,
    job: Job,
) -> Echo:
    """Echo. Gives back what it is given.

    Args:
        text: A text.
        pause: Seconds to wait. The progress is reported ten times meanwhile.
        numbers: Whole numbers.
        blob: An image.
        area: A box.
    """
    for tenth in range(10 if pause else 0):
        job.progress(10 * tenth, "waiting")
        job.sleep((pause or 0) / 10)
    return Echo(text, pause, numbers, blob, area)
