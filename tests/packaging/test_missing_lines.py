"""A project that lacks one of the tutorial's lines is told so by one message, and by no traceback of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from . import tutorial
from .environment import Environment
from .project import Project, start_project

pytestmark = pytest.mark.long_form(only=True)

SETTINGS, ASGI, URLS = "mysite/settings.py", "mysite/asgi.py", "mysite/urls.py"
NOWHERE = "redis://127.0.0.1:1"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, host: Environment) -> dict[str, str]:
    """The files of the project that the tutorial makes, without the app `fleet`."""
    project = start_project(tmp_path_factory.mktemp("complete"), host)
    for block in tutorial.section("A Django project"):
        if block.place:
            project.write(block.place, block.text.replace('    "fleet",\n', ""), block.at_the_end)
    return {str(path.relative_to(project.folder)): path.read_text() for path in project.folder.rglob("*.py")}


@pytest.fixture
def project(tmp_path: Path, host: Environment, files: dict[str, str]) -> Project:
    made = Project(tmp_path, host)
    for name, text in files.items():
        made.write(name, text)
    return made


def take_out(project: Project, name: str, pattern: str, instead: str = "") -> None:
    text = (project.folder / name).read_text()
    changed, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
    assert count == 1, f"{pattern} is there {count} times"
    project.write(name, changed)


def told(project: Project, *command: str, **variables: str) -> str:
    """What a command that refuses prints."""
    done = project.manage(*command, check=False, **variables)
    assert done.returncode != 0
    return done.stderr


def messages(errors: str) -> list[str]:
    return re.findall(r"\(\w+\.[EW]\d+\) .*", errors)


def app(name: str) -> str:
    return rf"^    [\"']{re.escape(name)}[\"'],\n"


def test_nothing_is_missing(project: Project) -> None:
    assert "no issues" in project.manage("check").stdout


def test_each_line_that_is_missing_is_one_message(project: Project) -> None:
    """All at once: what is found does not hide what else there is to find."""
    for line in ("^ASGI_APPLICATION = .*", "^CHANNEL_LAYERS = .*", "^REDIS_URL = .*", app("streaming.redis_data")):
        take_out(project, SETTINGS, line)
    take_out(project, SETTINGS, "'APP_DIRS': True", "'APP_DIRS': False")
    errors = told(project, "check")
    assert set(messages(errors)) == {
        "(streaming.E006) There is no channel layer.",
        "(streaming.E007) Redis is not configured.",
        "(streaming.E008) streaming.redis_data is needed by streaming.dialects.redis_commands.",
        "(streaming.E015) ASGI_APPLICATION is not set.",
        "(streaming.E014) The templates of GeoStream are not found.",
    }
    assert errors.count("HINT: ") == 5


def test_an_app_that_many_need_is_one_message(project: Project) -> None:
    take_out(project, SETTINGS, app("streaming.features"))
    (message,) = messages(told(project, "check"))
    assert message.startswith("(streaming.E008) streaming.features is needed by streaming.tiles, streaming.redis_data, streaming.topics, ")


def test_urls_that_are_missing(project: Project) -> None:
    take_out(project, URLS, ".*streaming.urls.*")
    assert messages(told(project, "check")) == ["(streaming.E012) The URLs of GeoStream are not among those of the project."]


@pytest.mark.parametrize("name", ["streaming", "django.contrib.auth"])
def test_an_app_that_nothing_can_be_loaded_without(project: Project, name: str) -> None:
    take_out(project, SETTINGS, app(name))
    *_, last = told(project, "check").splitlines()
    assert re.fullmatch(rf"django.core.exceptions.ImproperlyConfigured: streaming\S* needs {name}: put '{name}' into INSTALLED_APPS.", last)


def test_paths_in_the_wrong_order(project: Project) -> None:
    take_out(project, URLS, '^( +path\\("", include.*\n)( +path\\("admin/.*\n)', r"\2\1")
    assert "(streaming.W002) The paths of the admin hide the pages of operators." in project.manage("check").stderr


def test_websocket_routes_that_are_missing(project: Project) -> None:
    take_out(project, ASGI, r"with_streams\((.*)\)$", r"\1")
    message = "mysite.asgi.application has no WebSocket routes of GeoStream. In its module: from streaming.asgi import with_streams; "
    assert message in told(project, "check", "--deploy")
    assert f"CommandError: {message}" in told(project, "serve", REDIS_URL=NOWHERE)


def test_migrations_that_are_missing(project: Project) -> None:
    refusal = "CommandError: [0-9]+ migrations have not been applied. Run: python manage.py migrate\n"
    assert re.fullmatch(refusal, told(project, "serve", REDIS_URL=NOWHERE))


def test_a_redis_that_is_none(project: Project) -> None:
    project.manage("migrate", "-v", "0")
    errors = told(project, "serve", REDIS_URL="http://example.org")
    assert errors.startswith("CommandError: REDIS_URL is http://example.org, and that does not answer PING: ") and errors.count("\n") == 1


def test_a_secret_that_the_settings_do_not_use(project: Project) -> None:
    errors = told(project, "check", GEOSTREAM_JWT_SECRET="q7vJ0cQ4wKX3f8mB2nS9tYeU5rHdPzLa")
    assert "(streaming.E013) GEOSTREAM_JWT_SECRET is set, and the project's settings do not use it." in errors


def test_production_needs_a_secret(project: Project) -> None:
    take_out(project, SETTINGS, "^DEBUG = True", "DEBUG = False")
    errors = told(project, "check")
    assert "Set GEOSTREAM_SECRET_KEY, or the setting SECRET_KEY, to a key of your own" in errors
