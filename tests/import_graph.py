"""The rooms of the code and which imports which, computed from every import: late ones and those for type checkers too.

`python -m tests.import_graph` (`make graph`) draws it into `docs/design.md`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "design.md"
PACKAGES = ("streaming", "processes", "geostream")
WIRING = {"streaming", "streaming.asgi", "streaming.apps", "streaming.urls", "streaming.routing"}
"""Modules that put the rooms together: one room above all others."""
BEGIN, END = "<!-- rooms: made by `make graph` -->\n", "<!-- end of rooms -->"

Rooms = dict[str, set[str]]


def room_of(module: str) -> str:
    """`streaming.core.hub` is in the room `core`, `streaming.dialects.geo.session` in `dialects.geo`."""
    if module in WIRING:
        return "wiring"
    package, *path = module.split(".")
    if package != "streaming":
        return package
    return ".".join(path[: 2 if path[0] == "dialects" else 1])


def rooms() -> Rooms:
    """Each room, and the other rooms that it imports from."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=False)
    imported: Rooms = defaultdict(set)
    for module in graph.modules:
        if ".migrations" in module or module == "streaming.dialects":
            continue
        imported[room_of(module)] |= {room_of(other) for other in graph.find_modules_directly_imported_by(module)}
    for room, others in imported.items():
        others.discard(room)
    return dict(sorted(imported.items()))


def reduced(graph: Rooms) -> Rooms:
    """Without the arrows that follow from others: what a room reaches through another one is not drawn."""

    def reach(room: str) -> set[str]:
        return graph[room].union(*(reach(other) for other in graph[room]))

    return {room: others - set().union(*(reach(other) for other in others)) for room, others in graph.items()}


def mermaid(graph: Rooms) -> str:
    """The picture, as GitHub and many editors draw it."""
    names = {room: room.replace(".", "_") for room in graph}
    nodes = [f'  {names[room]}["{room}"]' for room in graph]
    arrows = [f"  {names[room]} --> {names[other]}" for room, others in reduced(graph).items() for other in sorted(others)]
    return "\n".join(["```mermaid", "flowchart TD", *nodes, *arrows, "```", ""])


def drawn() -> str:
    """What the document has."""
    found = re.search(re.escape(BEGIN) + r"(.*?)" + re.escape(END), DOCUMENT.read_text(encoding="utf-8"), re.S)
    return found.group(1) if found else ""


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(text.replace(BEGIN + drawn() + END, BEGIN + mermaid(rooms()) + END), encoding="utf-8")
