"""What people see where there is nothing, or where something went wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils.translation import override
from django.views.defaults import permission_denied, server_error


@pytest.mark.usefixtures("db")
def test_a_page_that_is_not_there_leads_to_the_map(settings: Any) -> None:
    settings.DEBUG = False
    answer = Client().get("/nowhere/")
    page = answer.content.decode()
    assert answer.status_code == 404
    assert "There is nothing here" in page and 'href="/"' in page and "theme.css" in page


def test_a_fault_of_the_server_leads_to_the_map() -> None:
    request: HttpRequest = RequestFactory().get("/")
    page = server_error(request).content.decode()
    assert "That went wrong" in page and 'href="/"' in page


def test_what_one_may_not_do_leads_to_the_map_in_the_language_of_the_page() -> None:
    request: HttpRequest = RequestFactory().get("/")
    with override("fr"):
        answer = permission_denied(request, PermissionDenied())
    page = answer.content.decode()
    assert (answer.status_code, '<html lang="fr">' in page) == (403, True)
    assert "Action non autorisée" in page and "Carte en direct" in page and 'href="/"' in page
