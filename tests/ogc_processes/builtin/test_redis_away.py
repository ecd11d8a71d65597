"""Continuous jobs outlast a Redis that is restarted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from channels.db import database_sync_to_async

from processes.builtin.geofence import geofence
from processes.builtin.hotspots import hotspots
from processes.worker import Job, JobFailed
from streaming.features.publishing import publish
from tests.core.restarting import RestartingRedis
from tests.geo_peer import point

from .running import JOB, Running, held, payloads, until
from .test_geofence import area

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def restarting(restarting_redis: RestartingRedis, settings: Any) -> RestartingRedis:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "cells, inside"
    return restarting_redis


async def test_what_happens_after_a_restart_is_noticed(restarting: RestartingRedis) -> None:
    await database_sync_to_async(publish)("areas", area("a", 0, 10))
    await database_sync_to_async(publish)("l", point(1, 1, 0))
    jobs = [
        Running(hotspots, Job(f"2{JOB[1:]}"), {"layer": "l", "publish_to": "cells", "resolution": 3, "update_seconds": 0.05}),
        Running(geofence, Job(JOB), {"layer": "l", "areas": "areas", "publish_to": "inside", "update_seconds": 0.05}),
    ]
    await until(lambda: len(held("cells")) == len(held("inside")) == len(payloads()) == 1, jobs[0])
    await asyncio.to_thread(restarting.stop)
    await asyncio.to_thread(restarting.start)
    await database_sync_to_async(publish)("l", [point(1, -5, 0), point(2, 60, 0)])
    await until(lambda: len(held("cells")) == 2 and not held("inside") and len(payloads()) == 2, jobs[0], 20)
    for job in jobs:
        await job.kill()


async def test_a_job_that_begins_while_redis_is_away_is_tried_again(restarting: RestartingRedis) -> None:
    await database_sync_to_async(publish)("l", point(1, 1, 0))
    await asyncio.to_thread(restarting.stop)
    with pytest.raises(JobFailed) as error:
        await hotspots("l", "cells", job=Job(JOB))
    assert error.value.retryable and error.value.status == 503
