"""What waits for a slow reader."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streaming.client import Coords, FeatureChange, Tile
from streaming.client.collection import Collection
from streaming.client.picture import Picture
from streaming.client.waiting import WaitingChanges, WaitingTiles
from tests.client.scripted import feature, gone

STEPS = st.lists(st.one_of(st.just("read"), st.tuples(st.integers(1, 4), st.integers(0, 3))), max_size=60)


@given(STEPS)
async def test_whoever_reads_sometimes_ends_up_with_the_same_features(steps: list[Any]) -> None:
    """A step is a read, or a feature's new version; version 0 is its deletion."""
    collection, waiting = Collection(every_layer=False), WaitingChanges()
    collection.replace("flights")
    reader: dict[int, Any] = {}
    for step in steps:
        if step == "read":
            if len(waiting):
                take(await waiting.get(), reader)
        elif change := apply(collection, *step):
            waiting.put(change.id, change)
    assert len(waiting) <= 4
    while len(waiting):
        take(await waiting.get(), reader)
    assert reader == collection.features


@given(st.lists(st.one_of(st.just("read"), st.tuples(st.integers(0, 3), st.binary(max_size=2))), max_size=60))
async def test_whoever_reads_tiles_sometimes_ends_up_with_the_same_picture(steps: list[Any]) -> None:
    """A step is a read, or a tile's new version; without bytes it is empty."""
    picture, waiting, reader = Picture(several=False), WaitingTiles(), Picture(several=False)
    for step in steps:
        if step == "read":
            if len(waiting):
                reader.put(await waiting.get())
        else:
            tile = Tile("relief", Coords(step[0], 0, 2), "", step[1].hex(), step[1])
            picture.put(tile)
            waiting.put(tile)
    assert len(waiting) <= 4
    while len(waiting):
        reader.put(await waiting.get())
    assert reader.tiles == picture.tiles


def apply(collection: Collection, id: int, version: int) -> FeatureChange | None:
    if version == 0:
        return collection.apply("deleted", "flights", id, gone(id), "deleted")
    return collection.apply("updated", "flights", id, feature(id, v=version), None)


def take(change: FeatureChange, reader: dict[int, Any]) -> None:
    """What a reader does that trusts the types: nothing is added twice, nothing unknown is updated or deleted."""
    assert isinstance(change.id, int)
    assert (change.id in reader) == (change.type != "added")
    if change.type == "deleted":
        del reader[change.id]
    else:
        reader[change.id] = change.feature
