"""Static files are served, whether their names were read at the start or each is looked for when it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from geostream.static_files import StaticFiles
from streaming.server.application import _needs_static_files


async def rest_of_the_site(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=404)


@pytest.mark.parametrize("autorefresh", [True, False])
@pytest.mark.parametrize(
    ("path", "status"), [("streaming/client/client.js", 200), ("admin/css/base.css", 200), ("streaming/../apps.py", 404)]
)
async def test_files_of_every_app_and_no_others(settings: Any, autorefresh: bool, path: str, status: int) -> None:
    settings.SERVESTATIC_AUTOREFRESH = autorefresh
    response = await StaticFiles(rest_of_the_site)(RequestFactory().get(f"/static/{path}"))
    assert response.status_code == status


def test_names_are_read_only_where_they_are_needed(settings: Any) -> None:
    settings.SERVESTATIC_AUTOREFRESH = True
    assert not StaticFiles(rest_of_the_site).files
    settings.SERVESTATIC_AUTOREFRESH = False
    assert "/static/streaming/client/client.js" in StaticFiles(rest_of_the_site).files


def test_a_middleware_made_from_that_of_a_library_needs_no_other(settings: Any) -> None:
    settings.DEBUG = True
    assert _needs_static_files()
    settings.MIDDLEWARE = settings.MIDDLEWARE_WITH_STATIC_FILES
    assert not _needs_static_files()
