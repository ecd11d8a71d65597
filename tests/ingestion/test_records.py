"""What is written behind of files never contradicts what was claimed for them meanwhile."""

from __future__ import annotations

import pytest

from streaming.ingestion.records import IngestRecords
from streaming.models import FileIngest


@pytest.mark.django_db(transaction=True)
async def test_whose_a_layer_is_is_not_written_behind() -> None:
    records = IngestRecords()
    row = records.get("roads.geojson")
    records.save(row)
    await records.flush()
    await FileIngest.objects.filter(path="roads.geojson").aupdate(made=5)  # as a claim does
    row.status = "ready"
    records.save(row)
    await records.flush()
    assert [(each.status, each.made) async for each in FileIngest.objects.all()] == [("ready", 5)]
    await records.stop()


@pytest.mark.django_db(transaction=True)
async def test_nor_is_it_brought_back_with_a_row_that_was_removed() -> None:
    records = IngestRecords()
    row = records.get("roads.geojson")
    row.made = 5
    records.save(row)
    await records.flush()
    assert [each.made async for each in FileIngest.objects.all()] == [None]
    await records.stop()
