"""Equal variants share one encoder, as long as somebody has it."""

from __future__ import annotations

import gc
from weakref import ref

from streaming.core.interning import Interned


class Encoder(Interned[tuple[str, int]]):
    pass


class OtherEncoder(Interned[tuple[str, int]]):
    pass


def test_equal_variants_share_an_instance() -> None:
    assert Encoder.of(("a", 1)) is Encoder.of(("a", 1))
    assert Encoder.of(("a", 1)).variant == ("a", 1)


def test_other_variants_have_instances_of_their_own() -> None:
    kept = Encoder.of(("a", 1))
    assert Encoder.of(("a", 2)) is not kept


def test_classes_share_nothing() -> None:
    kept = Encoder.of(("a", 1))
    assert type(OtherEncoder.of(("a", 1))) is OtherEncoder
    assert Encoder.of(("a", 1)) is kept


def test_an_instance_that_nobody_has_is_forgotten() -> None:
    forgotten = ref(Encoder.of(("a", 3)))
    gc.collect()
    assert forgotten() is None
