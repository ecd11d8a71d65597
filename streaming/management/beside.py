"""Management commands that run beside a server for as long as it runs: each a program of its own, whose end is noticed and named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

STOP_SECONDS = 3.0


class Beside:
    """A context in which the commands run. Their standard input ends with this program, also if it is killed."""

    def __init__(self, commands: Sequence[Sequence[str]], address: str, errors: Any) -> None:
        self._commands = [[word.format(address=address) for word in command] for command in commands]
        self._errors = errors
        self._programs: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def __enter__(self) -> Self:
        for command in self._commands:
            program = subprocess.Popen(
                [sys.executable, "-m", "django", *command],
                stdin=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for this program, which ends the others
            )
            self._programs.append(program)
            threading.Thread(target=self._watch, args=(program, command), name=f"beside-{command[0]}", daemon=True).start()
        return self

    def terminate(self) -> None:
        """Ask them to end."""
        self._stopping = True
        for program in self._programs:
            program.terminate()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.terminate()
        for program in self._programs:
            try:
                program.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            if program.stdin is not None:
                program.stdin.close()

    def _watch(self, program: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        code = program.wait()
        if not self._stopping:
            how = f"was ended by signal {-code}" if code < 0 else f"has ended with exit code {code}"
            self._errors.write(f"manage.py {command[0]} {how}: what it does is missing until it is started again.\n")
            self._errors.flush()


def _environment() -> dict[str, str]:
    """That of this program; modules are found where it finds them."""
    here = str(Path(sys.path[0] or ".").resolve())
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}
