"""The parts of GeoStream that are installed: each is a Django app, and its line in INSTALLED_APPS is its registration.

An app declares its parts (services, measures, settings, WebSocket routes, URLs) in its `AppConfig`; the engine collects that and names no
part. Templates, static files, commands, checks and the admin are found as Django finds them in every app.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string, module_has_submodule

from streaming.core.errors import ErrorKind, declare_errors

from .admin_pages import AdminPage, AdminPanel
from .diagnosis import Diagnosis
from .measures import Measure
from .message_types import SocketDescription
from .service import Service
from .settings import Setting


@dataclass(frozen=True, slots=True)
class DemoPart:
    """What a part adds to `manage.py demo`."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings, where the environment has no others."""
    commands: Sequence[Sequence[str]] = ()
    """Management commands that run beside the server, with their arguments; `{address}` is its host and port."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Paths to look at, by their titles."""


@dataclass(frozen=True, slots=True)
class MapPart:
    """What a part adds to the page of the live map: actions in the menus of layers, sections of the panel."""

    module: str
    """An ES module among the static files; its `extend(page, config)` is called once."""
    stylesheet: str | None = None
    """A stylesheet among the static files."""
    config: str | None = None
    """Dotted path of a function that is given the request of the page, and returns the module's `config`: JSON."""


class EngineApp(AppConfig):
    """Base class of the `AppConfig` of a part. Dotted paths are imported when they are needed, not when Django starts."""

    default = False  # a module that imports this class to subclass it does not offer it to Django
    dialect: ClassVar[str | None] = None
    """What its clients' connections are called in metrics, in the admin and in logs."""
    requires: ClassVar[Sequence[str]] = ()
    """Apps that have to be installed as well."""
    settings: ClassVar[Sequence[Setting]] = ()
    """The settings `GEOSTREAM_<NAME>` that it reads."""
    measures: ClassVar[Sequence[Measure]] = ()
    """The metrics that its services collect."""
    errors: ClassVar[Sequence[ErrorKind]] = ()
    """The error codes that its refusals have besides those of `streaming/core/errors.py`."""
    services: ClassVar[Sequence[str]] = ()
    """Dotted paths of the `Service` classes that start with the process. One that is costly to import is left out here and made when
    somebody first asks the runtime for its class."""
    websocket_urlconf: ClassVar[str | None] = None
    """A module with `websocket_urlpatterns`."""
    messages: ClassVar[str | None] = None
    """Dotted path of the `SocketDescription` of its WebSocket, for the AsyncAPI document."""
    largest_message: ClassVar[str | None] = None
    """The setting with the size of its clients' largest message, if that may be larger than `MAX_MESSAGE_BYTES`."""
    urlconf: ClassVar[str | None] = None
    """A module with `urlpatterns`, as paths from the root of the site."""
    admin_pages: ClassVar[Sequence[AdminPage]] = ()
    """Its pages in the admin."""
    admin_panels: ClassVar[Sequence[AdminPanel]] = ()
    """Its pieces of the admin's first page."""
    page_addresses: ClassVar[Sequence[str]] = ()
    """Its settings with an address, perhaps of another origin, that pages load data from."""
    map: ClassVar[MapPart | None] = None
    diagnoses: ClassVar[Sequence[str]] = ()
    """Dotted paths of functions that look at something for `manage.py doctor` (`diagnosis.py`)."""
    live_diagnoses: ClassVar[Sequence[str]] = ()
    """Those that the dashboard of the admin shows as well, each a few times a minute: they take milliseconds, and yield what may change."""
    demo: ClassVar[DemoPart] = DemoPart()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.default = True

    def import_models(self) -> None:
        """Also refuse to start without the apps that the models, which are all in `streaming`, need: a check would come too late."""
        for name in ("django.contrib.contenttypes", "django.contrib.auth", "streaming"):
            if not apps.is_installed(name):
                raise ImproperlyConfigured(f"{self.name} needs {name}: put {name!r} into INSTALLED_APPS.")
        super().import_models()

    def ready(self) -> None:
        """Load the modules `checks` and `signals`, if the app has them. The admin is left to Django's autodiscovery."""
        declare_errors(self.errors)
        if self.missing():  # they might not even load; a system check reports it
            return
        for name in ("checks", "signals"):
            if module_has_submodule(self.module, name):
                import_module(f"{self.name}.{name}")

    def missing(self) -> list[str]:
        """The required apps that are not installed, or that lack one themselves."""
        return _missing(self, _installed())


def _installed() -> dict[str, AppConfig]:
    return {config.name: config for config in apps.get_app_configs()}


def _missing(app: EngineApp, installed: dict[str, AppConfig]) -> list[str]:
    return [name for name in app.requires if name not in installed or not _is_complete(installed[name], installed)]


def _is_complete(config: AppConfig, installed: dict[str, AppConfig]) -> bool:
    return not (isinstance(config, EngineApp) and _missing(config, installed))


def complete_apps() -> Iterator[AppConfig]:
    """The installed apps, in the order of INSTALLED_APPS, but for parts that lack a required app."""
    installed = _installed()
    return (config for config in installed.values() if _is_complete(config, installed))


def engine_apps() -> Iterator[EngineApp]:
    """The parts among them."""
    return (config for config in complete_apps() if isinstance(config, EngineApp))


def all_demo_parts() -> list[DemoPart]:
    """What the installed parts add to the demo."""
    return [app.demo for app in engine_apps()]


def all_map_parts() -> list[MapPart]:
    """What the installed parts add to the map."""
    return [app.map for app in engine_apps() if app.map is not None]


def all_settings() -> list[Setting]:
    """The settings of all installed parts."""
    return [setting for app in engine_apps() for setting in app.settings]


def all_measures() -> list[Measure]:
    """The measures of all installed parts."""
    return [measure for app in engine_apps() for measure in app.measures]


def all_services() -> list[type[Service]]:
    """The services that start with a process."""
    return [import_string(path) for app in engine_apps() for path in app.services]


def all_diagnoses() -> list[Diagnosis]:
    """What all installed parts look at for `manage.py doctor`."""
    return [import_string(path) for app in engine_apps() for path in (*app.diagnoses, *app.live_diagnoses)]


def all_live_diagnoses() -> list[Diagnosis]:
    """Those that the dashboard shows."""
    return [import_string(path) for app in engine_apps() for path in app.live_diagnoses]


def all_sockets() -> list[SocketDescription]:
    """What the WebSockets of all installed dialects say."""
    return [import_string(app.messages) for app in engine_apps() if app.messages is not None]


def all_dialects() -> list[str]:
    """What the connections of all installed dialects are called."""
    return [app.dialect for app in engine_apps() if app.dialect is not None]


def all_admin_pages() -> list[AdminPage]:
    """The pages of operators, in the order of the navigation."""
    return sorted((page for app in engine_apps() for page in app.admin_pages), key=lambda page: (page.order, page.title))


def all_admin_panels() -> list[AdminPanel]:
    """The pieces of the admin's first page, in order."""
    return sorted((panel for app in engine_apps() for panel in app.admin_panels), key=lambda panel: panel.order)


def all_urlpatterns() -> list[Any]:
    """The URLs of all installed parts."""
    return [pattern for app in engine_apps() if app.urlconf for pattern in import_module(app.urlconf).urlpatterns]


def all_websocket_urlpatterns() -> list[Any]:
    """The WebSocket routes of all installed parts."""
    return [
        pattern for app in engine_apps() if app.websocket_urlconf for pattern in import_module(app.websocket_urlconf).websocket_urlpatterns
    ]


@register()
def check_required_apps(**kwargs: Any) -> list[CheckMessage]:
    """Reports parts that are left out because an app that they require is not installed."""
    needed: dict[str, list[str]] = {}
    for app in apps.get_app_configs():
        for name in app.requires if isinstance(app, EngineApp) else ():
            if not apps.is_installed(name):
                needed.setdefault(name, []).append(app.name)
    return [
        Error(f"{name} is needed by {', '.join(by)}.", hint=f"Put {name!r} into INSTALLED_APPS.", id="streaming.E008")
        for name, by in needed.items()
    ]
