"""A Django project in a virtual environment of its own."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.processes import CompletedProcess, run
from tests.server_process import ServerProcess

from .environment import Environment


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with `manage.py`, what it is run by, and the Redis that it is told of by its environment."""

    folder: Path
    environment: Environment
    redis_url: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        return {**self.environment.variables(), **({"REDIS_URL": self.redis_url} if self.redis_url else {})}

    def write(self, name: str, text: str, at_the_end: bool = False) -> None:
        """Write one of its files."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.read_text()}\n{text}" if at_the_end else text)

    def shell(self, command: str, **variables: str) -> CompletedProcess[str]:
        """Run a line of a shell in its folder; a management command without the shell, for that costs less (`tests/preloaded.py`)."""
        if command.startswith("python manage.py "):
            return self.manage(*shlex.split(command)[2:], **variables)
        return run("sh", "-ec", command, cwd=self.folder, env={**self.variables, **variables})

    def manage(self, *arguments: str, check: bool = True, **variables: str) -> CompletedProcess[str]:
        """Run a management command."""
        command = (self.environment.python, "manage.py", *arguments)
        return run(*command, cwd=self.folder, env={**self.variables, **variables}, check=check)

    def server(self) -> HostServer:
        """Its `manage.py serve`, to be started."""
        return HostServer(self)


class HostServer(ServerProcess):
    """`manage.py serve` of somebody's project."""

    def __init__(self, project: Project) -> None:
        super().__init__(project.folder, project.redis_url, {})
        self.environment = project.variables
        self.program = (str(project.environment.python), "manage.py")
        self.folder = project.folder

    @property
    def token(self) -> str:
        """The project has a key of its own."""
        self._token = self._token or self.log_in()
        return self._token


def start_project(folder: Path, environment: Environment, redis_url: str = "") -> Project:
    """What `django-admin startproject mysite` makes."""
    run(environment.folder / "bin" / "django-admin", "startproject", "mysite", cwd=folder, env=environment.variables())
    return Project(folder / "mysite", environment, redis_url)
