"""The supervisor starts, replaces, restarts and ends workers, here ones that do as they are told."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing import Pipe
from typing import Any

import pytest

from streaming.server import supervisor as module
from streaming.server import worker as worker_module
from streaming.server.supervisor import Patience, Supervisor
from streaming.server.worker import ALIVE, READY, STARTED


class FakeWorker:
    """A worker that is nothing but a pipe."""

    def __init__(self) -> None:
        self.reports, self._there = Pipe(duplex=False)
        self.sentinel, self._life = os.pipe()
        self.exit_code: int | None = None
        self.told: list[str] = []
        self.pid = 1

    def start(self) -> None:
        self.told.append("start")

    def received(self) -> list[bytes]:
        reports = []
        while self.reports.poll():
            reports.append(self.reports.recv_bytes())
        return reports

    def terminate(self) -> None:
        self.told.append("terminate")

    def kill(self) -> None:
        self.told.append("kill")
        self.end(-9)

    def close(self) -> None:
        self.reports.close()
        self._there.close()
        os.close(self.sentinel)

    def reports_that(self, *reports: bytes) -> None:
        for report in reports:
            self._there.send_bytes(report)

    def end(self, code: int) -> None:
        if self.exit_code is None:
            self.exit_code = code
            os.close(self._life)


class Site:
    """A supervisor that is stepped by hand, and all workers that it made."""

    def __init__(self, count: int = 2, serving: bool = True) -> None:
        self.workers: list[FakeWorker] = []
        self.supervisor = Supervisor(self._make, count, Patience(start=10, silence=20, end=5))  # type: ignore[arg-type]
        for _ in range(count):
            self.supervisor._start()
        if serving:
            for worker in self.workers:
                worker.reports_that(STARTED, READY)
            self.step()

    def _make(self) -> FakeWorker:
        self.workers.append(FakeWorker())
        return self.workers[-1]

    def step(self, later: float = 0.0) -> int | None:
        return self.supervisor.step(time.monotonic() + later)

    @property
    def told(self) -> list[str]:
        """What each was told last."""
        return [worker.told[-1] for worker in self.workers]


def test_a_worker_that_dies_is_replaced_at_once() -> None:
    site = Site()
    site.workers[0].end(-9)
    assert site.step() is None
    assert len(site.workers) == 3


def test_one_that_dies_again_and_again_is_started_ever_later() -> None:
    site = Site()
    site.workers[0].end(1)
    site.step()
    site.workers[-1].end(1)
    site.step()
    assert len(site.workers) == 3
    site.step(later=1.1)
    assert len(site.workers) == 4


def test_the_others_are_left_alone_meanwhile() -> None:
    site = Site()
    site.workers[0].end(1)
    for _ in range(4):
        site.step()
    assert site.workers[1].told == ["start"]


def test_it_gives_up_when_none_has_ever_served(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(serving=False)
    site.workers[0].end(3)
    assert site.step() is None
    site.workers[1].end(3)
    assert site.step() == 1
    assert "No worker could start" in caplog.text


def test_one_that_fails_at_first_is_tried_again_when_another_serves() -> None:
    site = Site(serving=False)
    site.workers[0].end(3)
    site.workers[1].reports_that(STARTED)
    assert site.step() is None
    assert len(site.workers) == 3


def test_it_says_once_that_all_serve() -> None:
    said: list[str] = []
    site = Site(serving=False)
    site.supervisor._on_ready = lambda: said.append("ready")
    site.workers[0].reports_that(STARTED)
    site.step()
    assert said == []
    site.workers[1].reports_that(STARTED)
    site.step()
    site.step()
    assert said == ["ready"]


def test_sighup_ends_a_worker_only_when_a_new_one_is_ready() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGHUP)
    site.step()
    assert site.told == ["start", "start", "start"]
    site.workers[2].reports_that(STARTED)
    site.step()
    assert site.told == ["start", "start", "start"]
    site.workers[2].reports_that(READY)
    site.step()
    assert site.told == ["terminate", "start", "start"]


def test_sighup_replaces_one_after_the_other() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGHUP)
    for number in (0, 1):
        site.step()
        site.workers[2 + number].reports_that(STARTED, READY)
        site.step()
        assert site.told == ["terminate"] * (number + 1) + ["start"] * 2
        site.workers[number].end(-15)
    site.step()
    assert len(site.workers) == 4 and site.told[2:] == ["start", "start"]


def test_a_second_sighup_ends_no_worker_before_a_new_one_is_ready() -> None:
    site = Site()
    for _ in range(3):  # a deployment that is told again and again, while no new worker serves
        site.supervisor.handle(signal.SIGHUP)
        site.step()
        for worker in site.workers[2:]:
            if worker.told[-1] == "terminate":
                worker.end(-15)
        site.step()
    assert site.told[:2] == ["start", "start"]
    assert site.told[2:] == ["terminate", "terminate", "start"]
    site.workers[-1].reports_that(STARTED, READY)
    site.step()
    assert site.told[:2] == ["terminate", "start"]


def test_a_second_sighup_leaves_the_workers_alone_if_the_new_one_dies() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGHUP)
    site.step()
    site.supervisor.handle(signal.SIGHUP)
    site.step()
    site.workers[2].end(-15)
    site.step()
    site.workers[3].end(1)
    site.step()
    site.step(later=15)
    assert site.told[:2] == ["start", "start"]


def test_workers_stay_if_the_new_one_does_not_become_ready() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGHUP)
    site.step()
    site.workers[2].reports_that(STARTED)
    site.step()
    for worker in site.workers:
        worker.reports_that(ALIVE)
    site.step(later=11)
    assert site.told == ["start", "start", "terminate"]
    site.workers[2].end(-15)
    site.step()
    assert len(site.workers) == 3


def test_workers_stay_if_the_new_one_dies() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGHUP)
    site.step()
    site.workers[2].end(1)
    site.step()
    site.step(later=15)
    assert site.told[:2] == ["start", "start"] and len(site.workers) == 3


def test_one_that_gives_no_sign_of_life_is_killed() -> None:
    site = Site()
    site.workers[1].reports_that(ALIVE)
    site.supervisor._listen(time.monotonic() + 15)
    site.step(later=21)
    assert site.told[:2] == ["kill", "start"]


def test_one_that_does_not_start_is_killed() -> None:
    site = Site(serving=False)
    site.workers[0].reports_that(STARTED)
    site.step(later=11)
    assert site.told[:2] == ["start", "kill"]


def test_sigterm_has_all_of_them_drain_and_waits() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGTERM)
    assert site.told == ["terminate", "terminate"]
    site.workers[0].end(-15)
    assert site.step() is None
    site.workers[1].end(-15)
    assert site.step() == 0


def test_sigterm_in_the_middle_of_a_replacement_ends_all() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGHUP)
    site.step()
    site.supervisor.handle(signal.SIGTERM)
    assert site.told == ["terminate"] * 3


def test_one_that_does_not_end_is_killed() -> None:
    site = Site(1)
    site.supervisor.handle(signal.SIGTERM)
    site.step(later=6)
    assert site.told == ["kill"]


def test_it_is_killed_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(1)
    monkeypatch.setattr(site.workers[0], "kill", lambda: site.workers[0].told.append("kill"))  # the system takes a moment
    site.supervisor.handle(signal.SIGTERM)
    for _ in range(3):
        assert site.step(later=6) is None
    assert site.workers[0].told == ["start", "terminate", "kill"]


def test_ctrl_c_twice_kills() -> None:
    site = Site()
    site.supervisor.handle(signal.SIGINT)
    assert site.told == ["terminate", "terminate"]
    site.supervisor.handle(signal.SIGINT)
    assert site.told == ["kill", "kill"]


def test_why_a_worker_cannot_start_is_a_record_of_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise RuntimeError("a broken release")

    monkeypatch.setattr("django.setup", broken)
    monkeypatch.setattr("streaming.server.worker.signal.signal", lambda *_: None)
    nothing: Any = None
    with pytest.raises(SystemExit):
        worker_module._serve(nothing, nothing, nothing, worker_module.nothing_to_prepare)
    assert "a broken release" in caplog.text


def test_signals_and_deaths_wake_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sleeps for an hour unless something happens, and puts back what signals did before."""
    monkeypatch.setattr(module, "TICK_SECONDS", 3600.0)
    made: list[FakeWorker] = []

    def make() -> Any:
        made.append(FakeWorker())
        return made[-1]

    def act() -> None:
        while not made:
            time.sleep(0.001)
        made[0].reports_that(STARTED)
        made[0].end(1)
        while len(made) < 2:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
        while made[-1].told[-1:] != ["terminate"]:
            time.sleep(0.001)
        made[-1].end(-15)

    before = signal.getsignal(signal.SIGTERM)
    acting = threading.Thread(target=act)
    acting.start()
    assert Supervisor(make, 1).run() == 0
    acting.join()
    assert signal.getsignal(signal.SIGTERM) is before
