"""The API definition: an OpenAPI 3.0 document that needs no other, made anew as processes come and go."""

from .views import ApiView

__all__ = ["ApiView"]
