"""Descriptions of processes: read from what workers register, checked against what clients send, published as OGC API - Processes has them.

Neither Django nor the database is needed here.
"""

from .description import InputDescription, OutputDescription, ProcessDescription
from .faults import DescriptionError, Fault
from .inputs import Given
from .schema import Schema

__all__ = ["DescriptionError", "Fault", "Given", "InputDescription", "OutputDescription", "ProcessDescription", "Schema"]
