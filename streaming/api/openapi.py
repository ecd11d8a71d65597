"""/api/schema/ and /api/docs/: the OpenAPI document of GeoStream's own views, and the page that shows it.

The project's other APIs are not in this document, because their views may not have the schema class that
drf-spectacular needs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import drf_spectacular
from django.template import TemplateDoesNotExist
from django.template.backends.django import DjangoTemplates
from drf_spectacular import utils
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import TemplateHTMLRenderer

from streaming.engine.content_security_policy import allow

from .base import ApiView

F = TypeVar("F", bound=Callable[..., Any])


def extend_schema(**operation: Any) -> Callable[[F], F]:
    """drf-spectacular's decorator for the methods of views, independent of the project's DEFAULT_SCHEMA_CLASS."""

    def decorate(method: F) -> F:
        method.kwargs = {"schema": AutoSchema}  # type: ignore[attr-defined]  # the base class of the method's own schema
        decorated: F = utils.extend_schema(**operation)(method)
        return decorated

    return decorate


class OwnEndpoints(EndpointEnumerator):
    """Enumerates the endpoints of this API, wherever the project has put them."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        """Leave out the views of the project's other APIs."""
        return issubclass(getattr(callback, "cls", object), ApiView) and bool(super().should_include_endpoint(path, callback))


class OwnSchemaGenerator(SchemaGenerator):
    """Generates the OpenAPI document of this API."""

    endpoint_inspector_cls = OwnEndpoints


class SchemaView(ApiView, SpectacularAPIView):
    """The OpenAPI document, as YAML or JSON."""

    compresses = True
    schema = None
    generator_class = OwnSchemaGenerator
    renderer_classes = SpectacularAPIView.renderer_classes
    content_negotiation_class = DefaultContentNegotiation
    permission_classes = SpectacularAPIView.permission_classes


class SwaggerRenderer(TemplateHTMLRenderer):
    """Renders the template of drf-spectacular, also in a project where that is not an installed app.

    As an app it checks all views of the REST framework that a project has, and refuses those that lack its schema class.
    """

    def resolve_template(self, template_names: Iterable[str]) -> Any:
        """The template as the project finds it, else as it is in the package."""
        try:
            return super().resolve_template(template_names)
        except TemplateDoesNotExist:
            return _packaged_templates().get_template(next(iter(template_names)))


@cache
def _packaged_templates() -> DjangoTemplates:
    folder = Path(drf_spectacular.__file__).parent / "templates"
    return DjangoTemplates({"NAME": "drf_spectacular", "DIRS": [folder], "APP_DIRS": False, "OPTIONS": {}})


class DocsView(ApiView, SpectacularSwaggerView):
    """Swagger UI with the OpenAPI document."""

    schema = None
    url_name = "streaming:schema"
    renderer_classes = [SwaggerRenderer]
    content_negotiation_class = DefaultContentNegotiation
    permission_classes = SpectacularSwaggerView.permission_classes

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the page have what is inline in the template: nothing in it is of anybody else."""
        response.add_post_render_callback(_allow_inline)
        return super().finalize_response(request, response, *args, **kwargs)


def _allow_inline(response: Any) -> None:
    for tag in ("script", "style"):
        for content in re.findall(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), response.content, re.DOTALL):
            allow(response, f"{tag}-src", f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'")
