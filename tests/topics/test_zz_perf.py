import asyncio, time, resource, pytest
from tests.topics.presence_scene import *
from tests.topics.conftest import *


async def xtest_storm(start_process):
    here = await start_process()
    there = await start_process()
    c0 = time.process_time()
    t = time.monotonic()
    cl = [here.join(f"u{n}") for n in range(5000)]
    await until(lambda: all(c.told for c in cl), 60)
    print("5000 in one room", time.monotonic() - t, time.process_time() - c0)
    await asyncio.sleep(1.2)
    t = time.monotonic()
    await here.presence.stop()
    print("stop", time.monotonic() - t)


async def test_topics(start_process):
    here = await start_process()
    c0 = time.process_time()
    t = time.monotonic()
    import cProfile, pstats

    pr = cProfile.Profile()
    pr.enable()
    cl = [here.join(f"u{n}", topic=f"s:{n}") for n in range(4000)]
    await until(lambda: all(c.told for c in cl), 120)
    pr.disable()
    pstats.Stats(pr).sort_stats("cumtime").print_stats(45)
    print("10000 topics", time.monotonic() - t, time.process_time() - c0)
    c0 = time.process_time()
    t = time.monotonic()
    await asyncio.sleep(1)
    print("idle 10s cpu", time.process_time() - c0, time.monotonic() - t)
    t = time.monotonic()
    await here.presence.stop()
    print("stop", time.monotonic() - t)
