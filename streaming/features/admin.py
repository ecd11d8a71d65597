"""The admin of feature layers. Its pages work while Redis is away."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from streaming.core.errors import StreamError
from streaming.models import Layer

from .layer_styles import check_style
from .layers import feature_counts
from .subscribers import subscriber_count


class LayerChangeList(ChangeList):
    """A list of layers that counts the features of all layers of a page in one round trip."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows, each with `live_count`."""
        super().get_results(request)
        counts = feature_counts([layer.name for layer in self.result_list])
        for layer in self.result_list:
            layer.live_count = counts.get(layer.name)


class LayerForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """The form of a layer, which refuses styles that cannot be drawn."""

    def clean_style(self) -> Any:
        """The style, if it is one."""
        style = self.cleaned_data["style"]
        try:
            check_style(style)
        except StreamError as error:
            raise forms.ValidationError(error.message, code=error.code) from error
        return style


@admin.register(Layer)
class LayerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """The admin of layers. What is saved here applies at once, in every process."""

    form = LayerForm
    list_display = ("name", "title", "public", "ttl_seconds", "features", "map")
    list_filter = ("public",)
    search_fields = ("name", "title")
    fieldsets = (
        (None, {"fields": ("name", "title"), "description": "A layer is created by publishing to it, or here."}),
        ("Who may read it", {"fields": ("public", "permission"), "description": "Publishing needs the permission to change layers."}),
        (
            "Features",
            {
                "fields": ("time_property", "wrap_longitude", "ttl_seconds", "max_features", "log_length"),
                "description": "How much the layer keeps. The log lets a client that was away catch up.",
            },
        ),
        ("On maps", {"fields": ("group", "order", "style")}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list with counts."""
        return LayerChangeList

    def get_readonly_fields(self, request: HttpRequest, obj: Layer | None = None) -> tuple[str, ...]:
        """The name of an existing layer, because its features are stored under it."""
        return () if obj is None else ("name",)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, dict[str, int], set[str], list[Any]]:
        """Before a layer is deleted: also how many features go with it, and for how many subscribers."""
        deletable, counts, missing, protected = super().get_deleted_objects(objs, request)
        names = [layer.name for layer in objs]
        features = feature_counts(names)
        known = {"features": sum(features.values())} if len(features) == len(names) else {}
        return deletable, {**counts, **known, "subscribers": sum(map(subscriber_count, names))}, missing, protected

    @admin.display(description="features now")
    def features(self, layer: Layer) -> str:
        """How many features it holds."""
        count = getattr(layer, "live_count", None)
        return "unknown: Redis does not answer" if count is None else f"{count:,}"

    @admin.display(description="map")
    def map(self, layer: Layer) -> str:
        """A link to the live map, if the project has it."""
        try:
            return format_html('<a href="{}?layer={}">show</a>', reverse("streaming:map"), layer.name)
        except NoReverseMatch:
            return ""
