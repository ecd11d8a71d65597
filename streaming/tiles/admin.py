"""The admin pages of tilesets. They work without Redis."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from streaming.core.errors import StreamError
from streaming.models import Tileset

from .imagery import clear_imagery_sync
from .imagery_files import painted_files
from .paths import imagery_folder
from .tilesets import check_tileset, tileset_settings


class TilesetForm(ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A form that refuses a source that cannot be read."""

    warnings: Sequence[str] = ()

    def _post_clean(self) -> None:
        """Check the source last: errors of fields and of the model are more precise."""
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                self.warnings = check_tileset(self.instance)
            except ValidationError as error:
                self.add_error(None, error)


@admin.register(Tileset)
class TilesetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Tilesets."""

    form = TilesetForm
    list_display = ("name", "title", "kind", "public", "painted", "tiles")
    actions = ("clear_imagery",)
    list_filter = ("kind", "public")
    search_fields = ("name", "title")
    fieldsets = (
        (None, {"fields": ("name", "title", "attribution")}),
        ("Where the tiles come from", {"fields": ("kind", "source", "format", "min_zoom", "max_zoom", "tile_size")}),
        ("How rasters look", {"fields": ("rescale", "colormap")}),
        ("Who may read it", {"fields": ("public", "permission")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Tileset | None = None) -> tuple[str, ...]:
        """The name cannot be changed, because clients know the tileset by it."""
        return () if obj is None else ("name",)

    def save_model(self, request: HttpRequest, obj: Tileset, form: TilesetForm, change: bool) -> None:
        """Save it, and say what is strange about it."""
        super().save_model(request, obj, form, change)
        for warning in form.warnings:
            self.message_user(request, f"{obj.name}: {warning}.", messages.WARNING)

    @admin.display(description="painted images")
    def painted(self, tileset: Tileset) -> int | None:
        """How many images are painted over it."""
        return len(painted_files(imagery_folder(tileset.name))) if tileset.kind == "raster" else None

    @admin.action(description="Take painted images away", permissions=["change"])
    def clear_imagery(self, request: HttpRequest, tilesets: QuerySet[Tileset]) -> None:
        """Remove all painted images of the selected rasters."""
        try:
            count = sum(clear_imagery_sync(tileset_settings(tileset)) for tileset in tilesets.filter(kind="raster"))
        except StreamError as error:
            self.message_user(request, f"Not all could be taken away: {error.message}", messages.ERROR)
        else:
            self.message_user(request, f"Painted images taken away: {count}.", messages.SUCCESS)

    @admin.display(description="tiles")
    def tiles(self, tileset: Tileset) -> str:
        """A link to the TileJSON."""
        return format_html('<a href="{}">TileJSON</a>', reverse("streaming:tilejson", args=[tileset.name]))
