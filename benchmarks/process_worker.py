"""The worker of the benchmark `processes`: a process that does nothing."""

from __future__ import annotations

from processes.worker import Worker

worker = Worker("benchmark")


@worker.process(version="1.0.0", retry="safe")
async def nothing(name: str) -> str:
    """Nothing. Gives back what it is given."""
    return name
