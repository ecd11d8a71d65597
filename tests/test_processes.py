"""What tests rely on when one of them hangs, fails or is killed: nothing goes on for ever, and nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .processes import MANAGE, PIPE, Process, TimeoutExpired, default_signals, run, site_environment, starting

HERE = Path(__file__).parent
PYTHON = sys.executable
FAMILY = """
import os, sys, time
if os.fork():
    print(os.getpid(), flush=True)
time.sleep(60)
"""


def alive(group: int) -> bool:
    """Whether a process of the group runs; those that have ended and were not waited for do not count."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group, *_ = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def until_gone(group: int) -> None:
    deadline = time.monotonic() + 10
    while alive(group):
        assert time.monotonic() < deadline, f"a process of the group {group} still runs"
        time.sleep(0.01)


def test_a_process_ends_with_its_group_whatever_happens() -> None:
    with pytest.raises(ZeroDivisionError), Process(sys.executable, "-c", FAMILY, stdout=PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert alive(process.pid)
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL
    until_gone(process.pid)


def test_the_group_of_a_process_that_has_ended_ends_too() -> None:
    with starting() as start:
        process = start("sh", "-c", "sleep 60 & echo", stdout=PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.wait()
        assert alive(process.pid)
    until_gone(process.pid)


def test_a_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.processes.WAIT_SECONDS", 0.05)
    with Process("sleep", 60, stdout=PIPE) as process:
        with pytest.raises(TimeoutExpired):
            process.wait()
        with pytest.raises(TimeoutExpired):
            process.communicate()
        monkeypatch.undo()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_what_is_ignored_here_is_not_ignored_by_what_is_started(sign: signal.Signals) -> None:
    before = signal.signal(sign, signal.SIG_IGN)
    try:
        with default_signals():
            os.kill(os.getpid(), sign)  # is nothing to this process, as before
            assert int(run("sh", "-c", "grep SigIgn /proc/$$/status").stdout.split()[1], 16) & 1 << sign - 1 == 0
        assert signal.getsignal(sign) is signal.SIG_IGN
    finally:
        signal.signal(sign, before)


def test_nothing_is_left_when_the_tests_are_killed() -> None:
    program = "import os; from tests.processes import Process; print(Process('sleep', 60).pid, flush=True); os.abort()"
    group = int(run(sys.executable, "-c", program, cwd=HERE.parent, check=False).stdout)
    until_gone(group)


def test_a_failure_shows_what_was_printed() -> None:
    with pytest.raises(AssertionError, match="ended with 3\nsaid\ncomplained"):
        run("sh", "-c", "echo said; echo complained >&2; exit 3")


SHELL = (*MANAGE, "shell", "--no-imports", "-c")


@pytest.mark.parametrize(
    ("command", "files"),
    [((*SHELL, "PROGRAM"), "os.listdir('/proc/self/fd')"), ((PYTHON, "-c", "PROGRAM", "x"), ""), ((PYTHON, "-m", "program", "x"), "")],
    ids=["manage.py", "-c", "-m"],
)
def test_what_is_forked_is_as_if_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], files: str) -> None:
    place = "os.getcwd(), dict(os.environ), sys.argv, sys.path, os.getsid(0) == os.getpid()"
    streams = f"sys.stdin.read(), [signal.getsignal(each) for each in (2, 13, 15, 17)], {files}"
    program = f"import os, signal, sys; print({place}, {streams}); print('oh', file=sys.stderr)"
    (tmp_path / "program.py").write_text(program)
    options: dict[str, Any] = {"env": site_environment(tmp_path, COLOUR="blue"), "input": "in", "preloaded": True}
    if "-m" in command:
        options["cwd"] = tmp_path
    results = []
    for forking in (True, False):
        monkeypatch.setattr("tests.processes.FORKING", forking)
        results.append(run(*(program if word == "PROGRAM" else word for word in command), **options))
    forked, started = results
    assert "'COLOUR': 'blue'" in started.stdout
    assert (forked.stdout, forked.stderr) == (started.stdout, started.stderr)


@pytest.mark.parametrize(("program", "code"), [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.abort()", -signal.SIGABRT)])
def test_how_a_forked_command_ended_is_known(tmp_path: Path, program: str, code: int) -> None:
    assert run(*SHELL, program, env=site_environment(tmp_path), check=False).returncode == code


@pytest.mark.long_form(only=True)
def test_commands_are_forked_by_many_threads(tmp_path: Path) -> None:
    def code(number: int) -> int:
        return run(*SHELL, f"raise SystemExit({number})", env=site_environment(tmp_path), check=False).returncode

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(code, range(12))) == list(range(12))


def test_a_forked_command_ends_with_its_group(tmp_path: Path) -> None:
    with starting() as start:
        process = start(*SHELL, FAMILY, env=site_environment(tmp_path), stdout=PIPE)
        assert process.stdout is not None
        process.stdout.readline()
    assert process.returncode == -signal.SIGKILL
    until_gone(process.pid)


def test_no_other_module_starts_processes() -> None:
    starting = re.compile(r"^\s*(import|from) (subprocess|multiprocessing)\b(?! import Pipe$)", re.MULTILINE)
    modules = [path for path in HERE.rglob("*.py") if starting.search(path.read_text())]
    assert sorted(modules) == [HERE / "preloaded.py", HERE / "processes.py"]
