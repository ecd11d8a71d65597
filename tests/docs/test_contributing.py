"""The code of CONTRIBUTING.md works."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from streaming import apublish
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.interning import Interned
from streaming.core.view import View
from streaming.engine.runtime import Runtime
from streaming.engine.senders import Framing
from streaming.features.layers import catalogue, layer_feed
from tests.geo_peer import GeoPeer, point

from .test_documents import DOCS


async def test_a_dialect_follows_a_layer(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    (code,) = re.findall(r"```python\n(class Lines.*?)```", (DOCS.parent / "CONTRIBUTING.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"Framing": Framing, "Interned": Interned, "View": View, "FilterSpec": FilterSpec}
    names |= {"catalogue": catalogue, "compile_filter": compile_filter, "layer_feed": layer_feed}
    exec(code, names)
    await apublish("l", [point(1, 0.5, 0.5), point(2, 5, 5)])
    peer = await geo().connect()
    (connection,) = runtime.connections.open.values()
    view = await names["follow"](connection, "l", [0, 0, 1, 1])
    await apublish("l", [point(2, 0.6, 0.6), point(1, 5, 5)])
    assert [await peer._socket.receive_from() for _ in range(3)] == ["added 1", "added 2", "deleted 1"]
    view.leave()
