"""The admin of tilesets. Nothing on these pages fails because Redis is away."""

from __future__ import annotations

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
from .source_check import check_tileset
from .source_kinds import imagery_folder
from .tilesets import tileset_settings


class TilesetForm(ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Refuses a source that cannot be read."""

    def _post_clean(self) -> None:
        """After the rules of the fields and of the model, which say more precisely what is wrong."""
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                check_tileset(self.instance)
            except ValidationError as error:
                self.add_error(None, error)


@admin.register(Tileset)
class TilesetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Tilesets; a source that cannot be read is refused when it is saved."""

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
        """Clients know it by its name: it stays."""
        return () if obj is None else ("name",)

    @admin.display(description="painted images")
    def painted(self, tileset: Tileset) -> int | None:
        """How many images are painted over it."""
        return len(painted_files(imagery_folder(tileset.name))) if tileset.kind == "raster" else None

    @admin.action(description="Take painted images away", permissions=["change"])
    def clear_imagery(self, request: HttpRequest, tilesets: QuerySet[Tileset]) -> None:
        """Show the selected rasters as their files are."""
        try:
            count = sum(clear_imagery_sync(tileset_settings(tileset)) for tileset in tilesets.filter(kind="raster"))
        except StreamError as error:
            self.message_user(request, f"Not all could be taken away: {error.message}", messages.ERROR)
        else:
            self.message_user(request, f"Painted images taken away: {count}.", messages.SUCCESS)

    @admin.display(description="tiles")
    def tiles(self, tileset: Tileset) -> str:
        """A link for maps."""
        return format_html('<a href="{}">TileJSON</a>', reverse("streaming:tilejson", args=[tileset.name]))
