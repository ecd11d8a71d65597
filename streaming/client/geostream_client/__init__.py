"""The Python client of GeoStream, for asyncio programs.

The modules beside it are those of `streaming`, the server's package, that the client consists of.
"""

from .client import *  # noqa: F403
from .client import __all__ as __all__
