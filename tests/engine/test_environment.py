"""Values of environment variables: all booleans are written alike, and a wrong value is told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from streaming.engine.checks import check_settings, check_spelling
from streaming.engine.conf import conf
from streaming.engine.environment import env_boolean, env_list
from streaming.engine.registry import all_settings
from tests.processes import manage, site_environment

BOOLEANS = [setting.name for setting in all_settings() if isinstance(setting.default, bool)]


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets a variable of the environment, and has settings read it."""

    def set_(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        conf.forget()

    yield set_
    monkeypatch.undo()
    conf.forget()


@pytest.mark.parametrize("text", ["1", "true", "True", "TRUE", "yes", "YES", "on", "On", " 1 "])
def test_true(variable: Any, text: str) -> None:
    variable("GEOSTREAM_ANY", text)
    assert env_boolean("GEOSTREAM_ANY", False) is True


@pytest.mark.parametrize("text", ["0", "false", "False", "FALSE", "no", "No", "off", "OFF"])
def test_false(variable: Any, text: str) -> None:
    variable("GEOSTREAM_ANY", text)
    assert env_boolean("GEOSTREAM_ANY", True) is False


@pytest.mark.parametrize("default", [True, False])
def test_an_empty_one_is_as_one_that_is_not_set(variable: Any, default: bool) -> None:
    variable("GEOSTREAM_ANY", "")
    assert env_boolean("GEOSTREAM_ANY", default) is default


@pytest.mark.parametrize("text", ["2", "maybe", "tru", "nope", "yes please"])
def test_anything_else_is_refused(variable: Any, text: str) -> None:
    variable("GEOSTREAM_ANY", text)
    with pytest.raises(ImproperlyConfigured, match="GEOSTREAM_ANY must be 1/0, true/false, yes/no or on/off"):
        env_boolean("GEOSTREAM_ANY", True)


@pytest.mark.parametrize("name", BOOLEANS)
def test_settings_of_parts_are_read_alike(variable: Any, name: str) -> None:
    values = []
    for text in ("yes", "OFF", "1", "false"):
        variable(f"GEOSTREAM_{name}", text)
        values.append(getattr(conf, name))
    assert values == [True, False, True, False]


def test_a_list(variable: Any) -> None:
    variable("GEOSTREAM_ANY", " a, b ,,c")
    assert env_list("GEOSTREAM_ANY") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("MAX_CONNECTIONS", "many", "a whole number of at least 0"),
        ("MAX_CONNECTIONS", "-1", "a whole number of at least 0"),
        ("SLOW_SECONDS", "soon", "a number of at least 0"),
        ("STALLED_SECONDS", "nan", "a number of at least 0.1"),
        ("NODE_TTL_SECONDS", "0", "a whole number of at least 1"),
        ("TILE_THREADS", "0", "a whole number of at least 1"),
        ("TILE_WATCH", "?", "1/0"),
    ],
)
def test_a_value_that_cannot_be_read_is_a_system_check(variable: Any, name: str, text: str, kind: str) -> None:
    variable(f"GEOSTREAM_{name}", text)
    (found,) = check_settings()
    assert found.id == "streaming.E010" and found.msg.startswith(f"GEOSTREAM_{name} must be {kind}")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("MAX_CONNECTIONS", "a lot", "a whole number of at least 0, not 'a lot'"),
        ("MAX_CONNECTIONS", 1.5, "a whole number of at least 0, not 1.5"),
        ("MAX_CONNECTIONS", True, "a whole number of at least 0, not True"),
        ("SLOW_SECONDS", float("nan"), "a number of at least 0, not nan"),
        ("NODE_TTL_SECONDS", 0, "a whole number of at least 1, not 0"),
        ("TILE_WATCH", "no", "True or False, not 'no'"),
    ],
)
def test_a_value_of_the_settings_module_is_checked_too(settings: Any, name: str, value: Any, kind: str) -> None:
    setattr(settings, f"GEOSTREAM_{name}", value)
    (found,) = check_settings()
    assert found.id == "streaming.E010" and found.msg == f"GEOSTREAM_{name} must be {kind}"


@pytest.mark.parametrize("name", ["MAX_CONECTIONS", "MAX_CONNECTION", "SLOW_SECOND"])
def test_a_misspelt_setting_is_warned_of(variable: Any, name: str) -> None:
    variable(f"GEOSTREAM_{name}", "5")
    (found,) = check_spelling()
    assert found.id == "streaming.W003" and found.msg == f"There is no setting GEOSTREAM_{name}."
    assert found.hint in ("Do you mean GEOSTREAM_MAX_CONNECTIONS?", "Do you mean GEOSTREAM_SLOW_SECONDS?")


def test_variables_of_others_are_not_misspelt(variable: Any) -> None:
    variable("GEOSTREAM_FLEET_NAME", "x")
    assert check_spelling() == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("GEOSTREAM_DEBUG", "maybe", "'maybe'"),
        ("GEOSTREAM_STATIC_PATH", "/no/such/folder", "'/no/such/folder'"),
        ("GEOSTREAM_LOG_LEVEL", "chatty", "must be one of CRITICAL, ERROR, WARNING, INFO, DEBUG, not 'chatty'"),
        ("DATABASE_URL", "foo", "is not a URL such as postgres://"),  # without its value, which may hold a password
        ("DATABASE_URL", "oracel://scott:tiger@host/name", "is not a URL such as postgres://"),
    ],
)
def test_commands_say_in_one_line_what_is_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    environment = site_environment(tmp_path, "redis://127.0.0.1:1", **{name: text})
    done = manage("check", env=environment, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name} ") and message in line


def test_settings_are_those_of_the_apps_that_are_installed() -> None:
    assert conf.PROCESS_ANONYMOUS is False
    others = [name for name in settings.INSTALLED_APPS if name != "processes"]
    with override_settings(INSTALLED_APPS=others), pytest.raises(ImproperlyConfigured, match="no app in INSTALLED_APPS has the setting"):
        _ = conf.PROCESS_ANONYMOUS
    assert conf.PROCESS_ANONYMOUS is False
